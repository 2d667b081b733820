"""Operations: the part of a command that needs Redis or the users, so that it can run where those are reached.

An operation returns pages. Locally its command asks for one page after another; with `--function` each page is one call
of the admin function (`function.py`), so no answer grows large.
"""

import importlib
import re
from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec

from sms_admin.failures import Failed
from sms_admin.place import Place
from sms_login.errors import InvalidPhone, Refusal
from sms_login.settings.reader import ConfigError


class Page(NamedTuple):
    """Some rows of an answer, and the cursor of the next page: any JSON value, None after the last page."""

    rows: list[Any]
    cursor: Any = None

    def __repr__(self) -> str:
        return object.__repr__(self)  # the cursor may be a number


class Operation(NamedTuple):
    """A function that returns a page, its name, such as `numbers.show_number`, and the type of its request."""

    name: str
    page: Callable[[Place, Any, Any], Page]
    asked: type


def operation(page: Callable[[Place, Any, Any], Page]) -> Operation:
    """Make `page(place, asked, cursor)`: `asked` is annotated with a Struct, `cursor` begins as None."""
    return Operation(
        f"{page.__module__.removeprefix('sms_admin.')}.{page.__name__}", page, page.__annotations__["asked"]
    )


def find(name: str) -> Operation:
    """Return the operation of a name. Raises Failed if there is none."""
    if re.fullmatch(r"[a-z_]+(\.[a-z_]+)+", name):
        module, _, attribute = f"sms_admin.{name}".rpartition(".")
        try:
            found = getattr(importlib.import_module(module), attribute, None)
        except ModuleNotFoundError:
            found = None
        if isinstance(found, Operation):
            return found
    raise Failed("there is no such operation", "没有这个操作")


def page_of(found: Operation, place: Place, asked: Any, cursor: Any) -> Page:
    """Return a page of an operation. Raises Failed, also if Redis or the database gives no answer."""
    try:
        return found.page(place, asked, cursor)
    except ConfigError as error:
        raise Failed(str(error), f"设置有误：{error}") from None
    except InvalidPhone:
        raise Failed(
            "a number is malformed: write it like +8613800138000", "号码格式错误：须形如 +8613800138000"
        ) from None
    except Refusal as refusal:
        words = refusal.detail or refusal.name
        raise Failed(f"no answer from Redis or the database: {words}", f"Redis 或数据库没有应答：{words}") from None


def read(found: Operation, asked: Any) -> Any:
    """Return the request of an operation from JSON values. Raises Failed."""
    return _converted(asked, found.asked, ("the request", "请求"))


def cursor_of(cursor: Any, kind: Any) -> Any:
    """Return the cursor of an operation, of the type `kind`, from JSON values. Raises Failed."""
    return _converted(cursor, kind, ("the cursor", "游标"))


def _converted(value: Any, kind: Any, names: tuple[str, str]) -> Any:
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        raise Failed(f"{names[0]} is malformed: {error}", f"{names[1]}格式错误：{error}") from None
