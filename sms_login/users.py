"""The user table, as the rooms that need it see it."""

from typing import Protocol

from msgspec import Struct

from sms_login.calls import Call
from sms_login.phone import Phone


class User(Struct, frozen=True):
    """A user record. `created` is when they signed up, in epoch milliseconds."""

    id: str
    phone: Phone
    name: str
    avatar: str
    created: int


class Users(Protocol):
    """The user table. A call may depend on another call's answer; a table in the same Redis asks for it itself."""

    def sign_in(self, phone: Phone, new_id: str) -> Call[User]:
        """Return the number's user, signed up now as `new_id` if there is none."""

    def find(self, phone: Phone) -> Call[User | None]:
        """Return the number's user."""

    def rename(self, phone: Phone, user_id: str, name: str, *, only_if: Call[str | None]) -> Call[User | None]:
        """Give the number's user a nickname; None if the id is not theirs, or not what `only_if` answers."""

    def delete(self, phone: Phone, user_id: str) -> Call[bool]:
        """Delete the number's user if `user_id` is theirs; return whether one was deleted."""
