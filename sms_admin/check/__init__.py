"""Checks of a deployment for its operator: `python -m sms_admin check`. Nothing of this package is deployed."""
