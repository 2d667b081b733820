"""Helpers that tests and benchmarks share; they import neither."""
