"""Purposes: the uses of codes. A challenge belongs to the purpose it was opened for, and exists under no other."""

import hashlib

from msgspec import Struct

from sms_login import base64url


class Purpose(Struct, frozen=True):
    """A purpose by `name`; `detail` is the base64url of the SHA-256 of the detail that binds it, "" without one.

    So the text of a detail goes no further than this: it is neither stored nor logged.
    """

    name: str
    detail: str = ""


PURPOSE = "[A-Za-z][A-Za-z0-9_-]{0,31}"  # the name of one
LOGIN = Purpose("login")  # also for deleteAccount
CHANGE_PHONE = Purpose("changePhone")
BUILT_IN = frozenset({LOGIN.name, CHANGE_PHONE.name})


def bound(name: str, detail: str) -> Purpose:
    """Return the purpose, bound to the text of a detail if there is one."""
    return Purpose(name, base64url.encode(hashlib.sha256(detail.encode()).digest()) if detail else "")
