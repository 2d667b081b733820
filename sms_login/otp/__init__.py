"""One-time codes: sending them and verifying them."""
