"""The operator's half: `python -m sms_admin`. Never deployed with the login."""
