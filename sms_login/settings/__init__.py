"""Settings: one table, read once, with all problems reported at once."""
