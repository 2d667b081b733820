"""The smallest environment that a function can start with, and the problems of other environments."""

import pytest

from sms_login.settings.reader import ConfigError
from sms_login.settings.settings import Settings

KEY = "k" * 32
LEAST = {
    "REDIS_HOST": "10.0.0.2",
    "SMS_SDKAPPID": "1400000000",
    "SMS_SIGN": "签名",
    "SMS_TEMPLATE_ID": "1000000",
    "JWT_SECRET": KEY,
}


def read(**changes: str) -> Settings:
    """Return the settings of the smallest environment with `changes`."""
    return Settings.read({**LEAST, **changes})


def problems(environ: dict[str, str]) -> list[str]:
    """Return the problems of an environment, all of which the message of the error lists."""
    with pytest.raises(ConfigError) as error:
        Settings.read(environ)
    assert str(error.value) == "; ".join(error.value.problems)
    return error.value.problems
