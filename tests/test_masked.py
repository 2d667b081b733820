"""No object prints a code, a token, a key or a whole number that it holds."""

import dataclasses
import importlib
import inspect
import pkgutil
from collections.abc import Iterator
from typing import Any

from msgspec import Struct

import local
import sms_admin
import sms_login

TOLD = "138-token-that-must-not-be-printed"
SECRET = {
    *("code", "codes", "nonce", "digest", "digests", "proof", "token", "refresh_token", "captcha_ticket"),
    *("session", "session_id", "challenge_id", "stale_id", "idempotency_key", "generation", "key", "keys", "environ"),
    *("e164", "phone", "number", "mobile", "to", "asked", "cursor", "test_numbers"),
    *("headers", "content", "response", "text", "cells", "values"),
}
HARMLESS = {  # words for people, names of columns, public keys, texts of templates and scripts
    *("sms_login.adapters.redis.client.Script", "sms_login.http.messages.KeySet", "sms_admin.check.key_set._KeySet"),
    *("sms_admin.bulk.account.Listed", "sms_admin.bulk.conditions.Found", "sms_admin.bulk.preview.Sample"),
    *("sms_admin.bulk.task.Task", "sms_admin.bulk.texts.Text", "sms_admin.operations.Operation"),
    *("sms_admin.output.Column", "sms_admin.reviews.Reviewed", "local.action.Action", "local.describe_sms.Template"),
    *("local.send_sms.Refusal", "sms_admin.numbers.State", "sms_admin.statistics.report.Row"),
}


def classes() -> Iterator[tuple[type, dict[str, str]]]:
    """Yield each class of values of ours, with its fields and their types."""
    for package in (sms_login, sms_admin, local):
        for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if found.name.endswith("__main__"):
                continue
            module = importlib.import_module(found.name)
            for kind in vars(module).values():
                if not inspect.isclass(kind) or kind.__module__ != found.name:
                    continue
                if issubclass(kind, Struct) or hasattr(kind, "_fields") or dataclasses.is_dataclass(kind):
                    bases = [base for base in reversed(kind.__mro__) if base.__module__.startswith(package.__name__)]
                    fields = {name: str(text) for base in bases for name, text in inspect.get_annotations(base).items()}
                    yield kind, fields


def tells(kind: Any, fields: dict[str, str]) -> bool:
    """Return whether an object prints a field whose name says that it is secret, unless its type masks itself."""
    masked = {"<class 'sms_login.phone.Phone'>", "<class 'sms_login.secret.Secret'>"}
    held = {name: TOLD if name in SECRET and text not in masked else None for name, text in fields.items()}
    return TOLD in repr(kind(**held))


def test_no_object_prints_a_secret_that_it_holds() -> None:
    """A class with such a field prints none of its fields, or is listed above."""
    kinds = {f"{kind.__module__}.{kind.__qualname__}": (kind, fields) for kind, fields in classes()}
    assert len(kinds) > 100
    assert {name for name, (kind, fields) in kinds.items() if tells(kind, fields)} == HARMLESS
