"""Settings: read once, with all their problems at once."""
