"""The user table, as the rooms that need it see it."""

from typing import Protocol

from msgspec import Struct

from sms_login.calls import Call
from sms_login.phone import Phone


class User(Struct, frozen=True):
    """A user record, with times in epoch milliseconds.

    `created` is when they signed up, `last_login` their last login, 0 if it is unknown. A `returning` user had not
    logged in for so long that the number may have changed hands: `last_login` is the time before that.
    """

    id: str
    phone: Phone
    name: str
    avatar: str
    created: int
    banned: bool = False
    last_login: int = 0
    returning: bool = False


class Users(Protocol):
    """The user table. A call may depend on another call's answer; a table in the same Redis asks for it itself."""

    def check(self) -> bool:
        """Return whether a user could sign up, False if this is for Redis to say. Raises ServiceUnavailable."""

    def sign_in(self, phone: Phone, new_id: str, generation: str = "", /) -> Call[User]:
        """Return the number's user, signed up now as `new_id` if there is none; record the time, unless banned.

        If the login repeats the one that made `new_id`, that user may have been deleted or have moved since. A table in
        the Redis of the sessions then signs nobody up, once they have another `generation`: raises ServiceUnavailable.
        A user who has been away for the table's `reverify_after` seconds, if it is not 0, is a returning one, and stays
        so at each login for as long again: a second login must not say less than the first.
        """

    def find(self, phone: Phone) -> Call[User | None]:
        """Return the number's user."""

    def rename(self, phone: Phone, user_id: str, name: str, *, only_if: Call[str | None]) -> Call[User | None]:
        """Give the number's user a nickname.

        Return None if they are banned, or if the id is not theirs, or not what `only_if` answers.
        """

    def ban(self, phone: Phone, user_id: str, *, banned: bool = True) -> Call[bool]:
        """Ban the number's user if `user_id` is theirs, or lift the ban; return whether there was such a user.

        It takes effect at the next request of theirs, and leaves their sessions as they are. Raises ServiceUnavailable,
        also if the table in SQL has no column for it.
        """

    def move(self, old: Phone, new: Phone, user_id: str) -> Call[User]:
        """Give the user of the old number the new one, and sign them in there, also if they have it already.

        Answer the new number's user, which is another one if it was taken: then the user keeps the old number. If both
        are one number, they are signed in, and nothing else changes. Cut off anywhere, it can be repeated, and is
        finished or cancelled by the next use of either number. Raises ServiceUnavailable, at once or as the answer,
        also if it was cancelled.
        """

    def delete(self, phone: Phone, user_id: str) -> Call[bool]:
        """Delete the number's user if `user_id` is theirs; return whether one was deleted."""
