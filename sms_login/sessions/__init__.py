"""Sessions: being signed in, and the tokens of it."""
