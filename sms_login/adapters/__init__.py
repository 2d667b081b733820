"""The outside, each part behind its port."""
