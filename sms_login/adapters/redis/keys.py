"""The names of a number's keys. The braces are a hash tag: all keys of one number are in one slot of a cluster."""

from sms_login.phone import Phone


def user_key(phone: Phone) -> str:
    """Return the key of a number's user."""
    return f"user:{{{phone.e164}}}"


def session_key(phone: Phone, name: str) -> str:
    """Return the key of a session, or of the index of a number's sessions."""
    return f"session:{{{phone.e164}}}:{name}"
