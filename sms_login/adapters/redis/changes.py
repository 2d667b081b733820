"""Changes of a user's number in Redis.

Each number has a slot of its own on a cluster, so a change takes three scripts:

1. start   the record at the old number notes the change, as `moving`: the new number, and an id of this change
2. take    the record is copied to the new number if that is free, and the copy notes the old number, as `moved_from`:
           from here on the user has the new number
3. leave   the record and the sessions at the old number are deleted, and then `moved_from`

A change that was cut off is settled when either number is used next: it is finished if the new number was taken, and
cancelled if not. A cancelled one cannot take the number any more: a key says so for longer than any request lasts. No
token of the new number is issued before the old number is left, so none can leave the new one before.
"""

from collections.abc import Sequence

from sms_login.adapters.redis.client import RedisCall, RedisClient, nothing
from sms_login.adapters.redis.keys import session_key, user_key
from sms_login.errors import InvalidPhone, ServiceUnavailable
from sms_login.phone import Phone

_REMEMBERED = 3600 * 1000  # ms that a cancelled change is kept
_MOVING, _MOVED_FROM = 7, 8  # places in a record of lua/prelude.lua


class PhoneChanges:
    """Starts changes of a number, and settles those that were cut off."""

    def __init__(self, redis: RedisClient) -> None:
        self._redis = redis

    def start(self, old: Phone, user_id: str, change: str) -> list[str | None]:
        """Note a change, "<new number> <id>", and return the user's record; [] if the old number is not theirs."""
        record: list[str | None] = self._redis.script("start_change", [user_key(old)], [user_id, change], list).answer()
        return self.start(old, user_id, change) if record and self.settle(old, record) else record

    def settle(self, phone: Phone, record: Sequence[str | None]) -> bool:
        """Finish or cancel a change that was cut off; return whether the number's record is another one now."""
        user_id, moving, moved_from = (record[i] or "" for i in (0, _MOVING, _MOVED_FROM))
        if not (moving or moved_from):
            return False
        try:
            other = Phone.from_e164((moving or moved_from).partition(" ")[0])
        except InvalidPhone:
            raise ServiceUnavailable("redis: a user record with a corrupt change of the number") from None
        keys = [user_key(other), change_key(moving)]
        if not moving:
            self._leave(other, user_id, phone)
        elif self._redis.script("cancel_change", keys, [user_id, _REMEMBERED], bool).answer():
            self.forget(phone, "moving", moving).answer()
        else:
            self._leave(phone, user_id, other)
        return bool(moving)

    def forget(self, phone: Phone, field: str, value: str) -> RedisCall[None]:
        """Delete the note of a change from a number's record."""
        return self._redis.script("forget_change", [user_key(phone)], [field, value], nothing)

    def _leave(self, old: Phone, user_id: str, new: Phone) -> None:
        keys = [session_key(old, "index"), user_key(old)]
        _, *ended = self._redis.script("end_sessions", keys, [user_id, new.e164], list).answer()
        calls = [self.forget(new, "moved_from", old.e164)]
        if ended:
            first, *rest = (session_key(old, session) for session in ended)
            calls.append(self._redis.command("DEL", first, *rest, read=nothing))
        self._redis.send(*calls)  # without an answer, the next use of the new number repeats this


def change_key(change: str) -> str:
    """Return the key that says that a change was cancelled."""
    number, _, change_id = change.partition(" ")
    return f"change:{{{number}}}:{change_id}"
