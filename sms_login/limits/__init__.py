"""Limits on sendings and guesses."""
