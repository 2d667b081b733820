"""The sessions of a number, as Redis holds them."""

from sms_admin.place import Place
from sms_login.adapters.redis.keys import session_key
from sms_login.phone import Phone

_OTHER_FIELDS = {"generation", "owner", "last"}  # of the index, as sms_login/adapters/redis/lua/begin_session.lua tells


def live_sessions(place: Place, phone: Phone) -> int:
    """Return the number of sessions that have not ended, after two round trips. Raises ServiceUnavailable."""
    ids = place.redis.command("HKEYS", session_key(phone, "index"), read=set[str]).answer() - _OTHER_FIELDS
    if not ids:
        return 0
    first, *rest = (session_key(phone, each) for each in sorted(ids))  # an index may list sessions that have expired
    return place.redis.command("EXISTS", first, *rest, read=int).answer()
