"""Checks of a deployment for its operator: `python -m sms_login check`. Nothing of this package is deployed."""
