"""Users as tests compare them."""

from msgspec.structs import replace

from sms_login.users import User


def lasting(user: User | None) -> User | None:
    """Return a user as if they had not logged in since they signed up: each login changes the time of the last one."""
    return user and replace(user, last_login=user.created)
