"""The operations on users: each finds its user by number or id, which in Redis may take several pages."""

import time
from collections.abc import Callable
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from sms_admin.failures import Failed
from sms_admin.operations import Page, operation
from sms_admin.place import Place
from sms_admin.users.records import SEARCHED, Who, find, page
from sms_admin.users.sessions import live_sessions
from sms_login.adapters.redis.sessions import RedisSessions
from sms_login.phone import Phone
from sms_login.secret import Masked
from sms_login.users import User

_ROWS = 100  # that end a page


class Wanted(Masked, frozen=True):
    """The users to list: their numbers begin with `number`, their names contain `name`, `banned` ones alone."""

    number: str = ""
    name: str = ""
    banned: bool = False


class Move(Who, frozen=True):
    """The user to move, and the number `to` (E.164) which they get."""

    to: str = ""


class Row(Struct, frozen=True, rename="camel"):
    """A user in a list. `created` and `last_login` are in epoch seconds, 0 if they are unknown."""

    user_id: str
    phone: Phone
    name: str
    created: int
    last_login: int
    banned: bool


class Full(Row, frozen=True, rename="camel"):
    """A user with all that is known; `sessions` have not ended."""

    avatar: str
    sessions: int


@operation
def list_users(place: Place, asked: Wanted, cursor: Any) -> Page:
    """Return the next users, each a Row. A page has few of them if few are wanted, and is then long in coming."""
    rows: list[Row] = []
    end = time.monotonic() + SEARCHED
    while True:
        users, cursor = page(place, cursor, asked.number)
        named = (user for user in users if asked.name.lower() in user.name.lower())
        rows += [Row(*_facts(user)) for user in named if user.banned or not asked.banned]
        if cursor is None or len(rows) >= _ROWS or time.monotonic() > end:
            return Page(rows, cursor)


@operation
def show_user(place: Place, asked: Who, cursor: Any) -> Page:
    """Return a user, as Full."""
    return _one(place, asked, cursor, lambda _: None)


@operation
def ban_user(place: Place, asked: Who, cursor: Any) -> Page:
    """Ban a user, who is refused from the next request on; return the banned user."""
    return _one(place, asked, cursor, lambda user: _ban(place, user, banned=True))


@operation
def unban_user(place: Place, asked: Who, cursor: Any) -> Page:
    """Lift the ban of a user, whose sessions go on; return the user without it. Raises Failed if there is none."""
    return _one(place, asked, cursor, lambda user: _ban(place, user, banned=False))


@operation
def sign_out_user(place: Place, asked: Who, cursor: Any) -> Page:
    """End all sessions of a user; return the user as before."""
    return _one(place, asked, cursor, lambda user: _sign_out(place, user))


@operation
def move_user(place: Place, asked: Move, cursor: Any) -> Page:
    """Give a user another number, and end all sessions; return the user as before."""
    return _one(place, asked, cursor, lambda user: _move(place, user, Phone.from_e164(asked.to)))


@operation
def delete_user(place: Place, asked: Who, cursor: Any) -> Page:
    """Delete a user and end all sessions; return the user as before."""
    return _one(place, asked, cursor, lambda user: _delete(place, user))


def _one(place: Place, who: Who, cursor: Any, change: Callable[[User], User | None]) -> Page:
    """Find a user, change it, and return the user that `change` returns, or else as it was before."""
    users, cursor = find(place, who, cursor)
    rows = []
    for user in users:
        sessions = live_sessions(place, user.phone)
        rows.append(Full(*_facts(change(user) or user), user.avatar, sessions))
    return Page(rows, cursor)


def _facts(user: User) -> tuple[str, Phone, str, int, int, bool]:
    return user.id, user.phone, user.name, user.created // 1000, user.last_login // 1000, user.banned


def _ban(place: Place, user: User, *, banned: bool) -> User:
    if not banned and not user.banned:
        raise Failed("the user is not banned: nothing was changed", "用户未被封禁：未做任何更改")
    if not place.users.ban(user.phone, user.id, banned=banned).answer():
        raise Failed("the user is gone: nothing was changed", "用户已不存在：未做任何更改")
    place.record("users.ban" if banned else "users.unban", user.phone, userId=user.id)
    return replace(user, banned=banned)


def _move(place: Place, user: User, new: Phone) -> None:
    if user.banned:  # or the ban would be lost, or the user be left between two numbers
        raise Failed("the user is banned: lift the ban first", "用户已被封禁：请先解除封禁")
    sessions = RedisSessions(place.redis, place.settings.session_rules)
    free = place.users.find(new).answer() is None
    if free:  # a move from there, cut off between SQL and Redis, may have left sessions
        sessions.end_all(new, user.id).answer()
    if not free or place.users.move(user.phone, new, user.id).answer().id != user.id:
        raise Failed("the new number has a user already: nothing was changed", "新号码已有用户：未做任何更改")
    place.users.find(new).answer()  # in Redis, the first use of the new number leaves the old one
    sessions.end_all(user.phone, user.id).answer()
    place.record("users.move", user.phone, userId=user.id, to=str(new))


def _sign_out(place: Place, user: User) -> None:
    RedisSessions(place.redis, place.settings.session_rules).end_all(user.phone, user.id).answer()
    place.record("users.sign-out", user.phone, userId=user.id)


def _delete(place: Place, user: User) -> None:
    deleting = place.users.delete(user.phone, user.id)
    RedisSessions(place.redis, place.settings.session_rules).end_all(user.phone, user.id, deleting).answer()
    place.record("users.delete", user.phone, userId=user.id)
