"""Secrets in the settings: long enough, in order, and never printed."""

import pytest

from sms_login.secret import Secret
from sms_login.sessions.keys import Key, shared_key
from sms_login.settings.reader import ConfigError
from sms_login.settings.settings import Settings
from tests.testkit.cases import each_case
from tests.testkit.environ import KEY, read

OLD_KEY, OTHER_KEY, OTHER_OLD_KEY = "o" * 32, "x" * 32, "y" * 32


def revealed(secrets: tuple[Secret, ...]) -> list[str]:
    """Return the clear values of secrets."""
    return [secret.reveal() for secret in secrets]


def keys(*secrets: str) -> tuple[Key, ...]:
    """Return the keys that sign and verify tokens with these secrets."""
    return tuple(shared_key(secret.encode()) for secret in secrets)


@each_case("name", ["JWT_SECRET", "JWT_SECRET_PREVIOUS", "SECRET", "SECRET_PREVIOUS"])
def test_a_secret_is_32_bytes_or_more(name: str) -> None:
    """The length of a secret is counted in bytes, not in characters."""
    for enough in ("a" * 32, "密" * 11, "密" * 10 + "ab"):
        assert read(**{name: enough})
    for short in ("a" * 31, "密" * 10 + "a", "a" * 31 + " "):
        with pytest.raises(ConfigError) as error:
            read(**{name: short})
        assert error.value.problems == [f"{name} must be at least 32 bytes long"]


def test_the_previous_secret_follows_the_current_one() -> None:
    """JWT_SECRET signs, JWT_SECRET_PREVIOUS still verifies, and both serve codes if there is no SECRET."""
    settings = read(JWT_SECRET_PREVIOUS=OLD_KEY)
    assert settings.jwt_keys == keys(KEY, OLD_KEY)
    assert revealed(settings.secrets) == [KEY, OLD_KEY]


def test_secret_is_for_codes_and_comes_first_there() -> None:
    """SECRET never signs a token, and codes that JWT_SECRET made before it was set still work."""
    settings = read(SECRET=OTHER_KEY, SECRET_PREVIOUS=OTHER_OLD_KEY, JWT_SECRET_PREVIOUS=OLD_KEY)
    assert settings.jwt_keys == keys(KEY, OLD_KEY)
    assert revealed(settings.secrets) == [OTHER_KEY, OTHER_OLD_KEY, KEY, OLD_KEY]


def test_a_secret_that_is_set_twice_counts_once() -> None:
    """A repeated secret keeps its first place only."""
    settings = read(SECRET=KEY, SECRET_PREVIOUS=OTHER_KEY, JWT_SECRET_PREVIOUS=KEY)
    assert settings.jwt_keys == keys(KEY)
    assert revealed(settings.secrets) == [KEY, OTHER_KEY]


def test_a_secret_is_never_printed() -> None:
    """Neither a secret nor the repr of the settings shows the clear value; only reveal() returns it."""
    secret = Secret("hunter2")
    assert {str(secret), repr(secret), f"{secret}", f"{secret:}", "%s" % secret} == {"Secret('****')"}  # noqa: UP031 - on purpose
    assert secret.reveal() == "hunter2"
    assert (bool(secret), bool(Secret(""))) == (True, False)
    settings = read(REDIS_PASSWORD="instance:p4ssw0rd", SECRET=OTHER_KEY)
    assert settings.redis_password.reveal() == "instance:p4ssw0rd"
    for value in ("p4ssw0rd", KEY, OTHER_KEY):
        assert value not in repr(settings)


def test_a_secret_may_be_any_bytes() -> None:
    """Bytes of the environment that are not UTF-8 stay unchanged in the key."""
    assert Secret("k\udcff密").key() == b"k\xff\xe5\xaf\x86"


@each_case(
    "start", ["-----BEGIN PRIVATE KEY-----", "ssh-ed25519 ", "ecdsa-sha2-nistp256 ", '{"kty": ', "LS0tLS1CRUdJTi"]
)
@each_case("name", ["JWT_SECRET", "JWT_SECRET_PREVIOUS", "SECRET", "SECRET_PREVIOUS"])
def test_a_key_file_is_refused_as_a_secret(name: str, start: str) -> None:
    """PyJWT would refuse to sign with a key file only after the code of the first login is spent."""
    with pytest.raises(ConfigError) as error:
        Settings.read({"JWT_SECRET": "x" * 32, name: start + "x" * 64})
    assert f"{name} must be random text, not a key file" in error.value.problems
