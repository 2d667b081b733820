"""What tests and benchmarks share; it imports neither."""
