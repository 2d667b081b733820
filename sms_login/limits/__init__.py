"""Limits: what may be sent and guessed, and how often."""
