"""Settings and their kinds: a kind turns the text of an environment variable into a value."""

import ipaddress
import re
from collections.abc import Callable, Collection
from contextlib import suppress
from datetime import datetime
from typing import Any

import phonenumbers
from msgspec import Struct

from sms_login.errors import InvalidPhone, PhoneFault
from sms_login.otp.purposes import LOGIN, PURPOSE
from sms_login.phone import Phone
from sms_login.secret import Secret

_LEAST_KEY = 32  # bytes: RFC 7518, section 3.2
# PyJWT refuses to sign with these, except base64-encoded PEM; a public key must never serve as a secret.
_KEY_FILE = ("-----BEGIN", "LS0tLS1CRUdJTi", "ssh-", "ecdsa-sha2-", "sk-ssh-", "sk-ecdsa-", "{")
_USERS_URL = (
    r"sqlite:///[^:?#]+"
    r"|mysql\+pymysql://[^:@/?#]+(:[^@]*)?@[A-Za-z0-9._-]+(:(?P<port>[0-9]{1,5}))?/[^/?#]+"
    r"(\?(?P<options>([&,]?(charset=utf8mb4|ssl_(ca|cert|key)=[^&,#]+|ssl_check_hostname=(true|false))(?=[&,]|\Z))+))?"
)
_ORIGIN = r"null|file://|[a-z][a-z0-9+.-]*://[a-z0-9.-]+(:[0-9]+)?|[a-z][a-z0-9+.-]*://\[[0-9a-f:]+\](:[0-9]+)?"
_LABEL = "[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"  # RFC 1123, section 2.1, and Docker's underscore
_HOST = rf"(?!(.*\.)?[0-9]+\.?\Z){_LABEL}(\.{_LABEL})*\.?"
_ON, _OFF = ("1", "on", "true", "yes"), ("0", "off", "false", "no")


class Setting(Struct, frozen=True):
    """One setting, named as its environment variable."""

    name: str
    kind: Callable[["Setting", str], Any]  # a function below, which returns the value of a text or raises Wrong
    default: str | float = ""
    least: float = 0
    most: float = 0
    pattern: str = ""  # of the whole text; of a choice, its words
    required: bool = False
    secret: bool = False
    field: str = ""  # its name in Rules, Limits or SessionRules


class Wrong(Exception):  # noqa: N818 - the setting is wrong, not the program
    """The text of a setting has a wrong form. The message completes "NAME must …" and never holds the text."""


def text(setting: Setting, given: str) -> str:
    """Return the text. If there is a pattern, all of the text must match it."""
    if setting.pattern and given != setting.default:  # so that a cold start compiles no pattern for a default
        _matching(setting.pattern, given, f"match {setting.pattern}")
    return given


def choice(setting: Setting, given: str) -> str:
    """Return one of the words in the pattern, which may be given in capitals or small letters."""
    words = {word.lower(): word for word in setting.pattern.split("|")}
    return words[_among(words, given.lower(), f"be one of {', '.join(words.values())}")]


def switch(_: Setting, given: str) -> bool:
    """Return whether the switch is on."""
    return _among((*_ON, *_OFF), given.lower(), "be 0 or 1") in _ON


def stop(_: Setting, given: str) -> bool:
    """Return whether to go on. Every unknown text means stop: a misspelled emergency stop must not be an outage."""
    return given.lower() in _ON


def host(_: Setting, given: str) -> str:
    """Return the name or the IP address of a server."""
    with suppress(ValueError):
        return given and str(ipaddress.ip_address(given))
    must = "be a host name or an IP address alone, like 10.0.0.2: a port belongs in REDIS_PORT, a password in "
    return _matching(_HOST, given, f"{must}REDIS_PASSWORD, and for rediss:// set REDIS_TLS=1")


def integer(setting: Setting, given: str) -> int:
    """Return a whole number."""
    return int(_within(setting, int, given, "a whole number"))


def number(setting: Setting, given: str) -> float:
    """Return a number."""
    return _within(setting, float, given, "a number")


def password(_: Setting, given: str) -> Secret:
    """Return a text that another party issued, as a Secret."""
    return Secret(given)


def key(_: Setting, given: str) -> Secret:
    """Return random text that is long enough to sign with, as a Secret."""
    secret = Secret(given)
    if given.startswith(_KEY_FILE):
        raise Wrong("be random text, not a key file")
    if given and len(secret.key()) < _LEAST_KEY:
        raise Wrong(f"be at least {_LEAST_KEY} bytes long")
    return secret


def url_key(_: Setting, given: str) -> Secret:
    """Return a key that stands in a URL, as a Secret."""
    return Secret(given and _matching(r"[A-Za-z0-9_-]{32,256}", given, "be 32 to 256 of A-Z, a-z, 0-9, _ and -"))


def users_url(_: Setting, given: str) -> Secret:
    """Return the address of a database in SQLAlchemy's form, which may hold a password, as a Secret."""
    form = given and re.fullmatch(_USERS_URL, given)
    if given and not (form and int(form["port"] or 1) in range(1, 65536) and given.isprintable()):
        raise Wrong("be mysql+pymysql://user:password@host:3306/database or sqlite:///path, as in docs/users.md")
    options = form and form["options"]  # commas need no quotes in a shell
    return Secret(given.removesuffix(options) + options.replace(",", "&") if options else given)


def country(_: Setting, given: str) -> str:
    """Return an ISO country code in capitals."""
    return _among(phonenumbers.SUPPORTED_REGIONS, given.upper(), "be an ISO country code, like CN")


def countries(_: Setting, given: str) -> frozenset[str] | None:
    """Return ISO country codes in capitals, or None for all countries."""
    must = "be ISO country codes with commas between, or *"
    names = (name.strip() for name in given.upper().split(","))
    return None if given == "*" else frozenset(_among(phonenumbers.SUPPORTED_REGIONS, name, must) for name in names)


def origins(_: Setting, given: str) -> frozenset[str]:
    """Return origins of web pages in small letters."""
    must = "be like https://app.example.com, without a path, with commas between"
    return frozenset(_matching(_ORIGIN, origin, must) for origin in _items(given.lower()))


def params(_: Setting, given: str) -> tuple[str, ...]:
    """Return the names of an SMS template's parameters in their order."""
    must = "be code, or code and minutes in the template's order"
    names = ",".join(name.strip() for name in given.split(","))
    return tuple(_among(("code", "code,minutes", "minutes,code"), names, must).split(","))


def codes(_: Setting, given: str) -> dict[str, Secret]:
    """Return fixed codes by phone number in E.164."""
    must = "be like +8613800000000=123456, with commas between, each number once"
    pairs = [_matching(r"\+[0-9]+=[0-9]{6}", item, must).split("=") for item in _items(given)]
    with suppress(InvalidPhone):
        found = {_test_number(phone): Secret(code) for phone, code in pairs}
        if len(found) == len(pairs):
            return found
    raise Wrong(must)


def purposes(_: Setting, given: str) -> dict[str, str]:
    """Return the templates of purposes, "" for that of the login."""
    must = "be like resetPassword=1234567,pay, each name once and none login"
    pairs = [_matching(rf"{PURPOSE}(=[0-9]+)?", item, must).partition("=") for item in _items(given)]
    found = {name: template for name, _, template in pairs}
    if len(found) < len(pairs) or LOGIN.name in found:
        raise Wrong(must)
    return found


def date(_: Setting, given: str) -> str:
    """Return a day as YYYYMMDD."""
    must = "be a date like 2027-01-31"
    with suppress(ValueError):  # strptime alone would also take 2027-1-5, which sorts elsewhere as text
        if not given or datetime.strptime(_matching("[0-9]{4}-[0-9]{2}-[0-9]{2}", given, must), "%Y-%m-%d"):  # noqa: DTZ007 - a day
            return given.replace("-", "")
    raise Wrong(must)


def _test_number(e164: str) -> str:
    """Return a number that can receive SMS, or that is in a range assigned to nobody. Raises InvalidPhone."""
    try:
        return Phone.parse(e164, "ZZ").e164
    except InvalidPhone as refusal:
        if refusal.detail != PhoneFault.UNKNOWN_NUMBER.name:
            raise
        return Phone.parse(e164, "ZZ", known=frozenset([e164])).e164


def _among(words: Collection[str], given: str, must: str) -> str:
    if given not in words:
        raise Wrong(must)
    return given


def _matching(pattern: str, given: str, must: str) -> str:
    if not re.fullmatch(pattern, given):
        raise Wrong(must)
    return given


def _within(setting: Setting, convert: Callable[[str], float], given: str, what: str) -> float:
    with suppress(ValueError):
        if setting.least <= (value := convert(given)) <= setting.most:
            return value
    raise Wrong(f"be {what} from {setting.least} to {setting.most}")


def _items(given: str) -> list[str]:
    return [item.strip() for item in given.split(",") if item.strip()]
