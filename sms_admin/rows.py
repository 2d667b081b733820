"""Rows as JSON values: camelCase keys, and phone numbers masked unless they are to be clear."""

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from sms_login.phone import Phone

# E.164, or a mobile number of mainland China as people write it; not a part of an id in hexadecimal.
_NUMBER = re.compile(r"\+[0-9]{8,15}|(?<![0-9a-fA-F])(?:86[ -]?)?1[3-9][0-9][ -]?[0-9]{4}[ -]?[0-9]{4}(?![0-9a-fA-F])")


def mask_numbers(value: Any) -> Any:
    """Return JSON values with all numbers in their texts masked, such as one that a person has taken for a name."""
    if isinstance(value, str):
        return _NUMBER.sub("****", value)
    if isinstance(value, dict):
        return {key: mask_numbers(item) for key, item in value.items()}
    return [mask_numbers(item) for item in value] if isinstance(value, list) else value


def plain(value: Any, *, clear: bool) -> Any:
    """Return a row, such as a Struct with `rename="camel"`, as JSON values; a Phone at any depth becomes a string.

    With `omit_defaults`, fields that are None are left out.
    """
    if isinstance(value, Phone):
        return value.e164 if clear else str(value)
    if isinstance(value, msgspec.Struct):
        names = zip(value.__struct_encode_fields__, value.__struct_fields__, strict=True)
        fields = {key: plain(getattr(value, name), clear=clear) for key, name in names}
        omit = value.__struct_config__.omit_defaults
        return {key: field for key, field in fields.items() if not (omit and field is None)}
    if isinstance(value, Mapping):
        return {str(key): plain(item, clear=clear) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item, clear=clear) for item in value]
    return msgspec.to_builtins(value)
