"""Signing keys in the settings: accepted kinds and forms, refused keys, and keys that may be set together."""

import base64
import sys
from collections.abc import Callable
from functools import partial

import pytest

from sms_login.sessions.keys import Key, shared_key
from tests.testkit.cases import each_case
from tests.testkit.environ import KEY, LEAST, problems, read
from tests.testkit.key_files import ALGORITHMS, OTHER_KINDS, certificate_pem, private_pem, public_pem

OTHER_KEY = "x" * 32
NO_SECRET = {name: value for name, value in LEAST.items() if name != "JWT_SECRET"}
PRIVATE = "JWT_PRIVATE_KEY must be one private key in PEM, not encrypted: Ed25519, P-256, or RSA of at least 2048 bits"
PUBLIC = "JWT_PUBLIC_KEYS_PREVIOUS must be public keys in PEM: Ed25519, P-256, or RSA of at least 2048 bits"


def in_base64(pem: str) -> str:
    """Return a file as `openssl base64 -A` encodes it."""
    return base64.b64encode(pem.encode()).decode()


def signer(pem: str) -> Key:
    """Return the key that signs if JWT_PRIVATE_KEY is `pem`."""
    return read(JWT_SECRET="", JWT_PRIVATE_KEY=pem, SECRET=OTHER_KEY).jwt_keys[0]


def previous(text: str) -> list[Key]:
    """Return the keys that JWT_PUBLIC_KEYS_PREVIOUS makes."""
    return list(read(JWT_PUBLIC_KEYS_PREVIOUS=text).jwt_keys[1:])


def unknown(pem: str) -> str:
    """Return an Ed25519 key (RFC 8410: 1.3.101.112) with the identifier of an algorithm that does not exist."""
    first, body, *rest = pem.split("\n")
    der = base64.b64decode(body).replace(b"\x2b\x65\x70", b"\x2b\x65\x7f")
    return "\n".join([first, base64.b64encode(der).decode(), *rest])


FORMS: dict[str, Callable[[str], str]] = {
    "as it is": lambda pem: pem,
    "with CRLF": lambda pem: pem.replace("\n", "\r\n"),
    r"with \n": lambda pem: pem.replace("\n", "\\n"),
    "with its newlines lost": lambda pem: pem.replace("\n", ""),
    "in base64": in_base64,
    "in base64 of several lines": lambda pem: base64.encodebytes(pem.encode()).decode(),
    r"in base64, with \n": lambda pem: in_base64(pem.replace("\n", "\\n")),
}


@each_case("form", FORMS)
@each_case("kind", ALGORITHMS)
def test_a_key_is_accepted_in_every_form(kind: str, form: str) -> None:
    """Private and public half have the same key id, and the algorithm of their kind."""
    key, (public,) = signer(FORMS[form](private_pem(kind))), previous(FORMS[form](public_pem(kind)))
    assert key.algorithm == public.algorithm == ALGORITHMS[kind]
    assert key.kid == public.kid
    assert key.signer is not None
    assert public.signer is None


def test_the_older_formats_of_openssl_are_accepted() -> None:
    """OpenSSL's older formats for RSA and P-256 are read, the latter with its parameters before it."""
    parameters = "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n"
    for kind, before in (("RSA", ""), ("P-256", parameters)):
        assert signer(before + private_pem(kind, form="TraditionalOpenSSL")).kid == signer(private_pem(kind)).kid
    assert previous(public_pem("RSA", form="PKCS1")) == previous(public_pem("RSA"))


@each_case("join", ["", "\n", ",", " , "])
def test_several_previous_keys_are_accepted(join: str) -> None:
    """Keys of any kind may follow each other directly or after commas, and in different forms after a comma."""
    pems = [public_pem("RSA"), public_pem("Ed25519"), public_pem("Ed25519", 1)]
    assert [key.algorithm for key in previous(join.join(pems))] == ["RS256", "EdDSA", "EdDSA"]
    if "," in join:
        assert previous(join.join([pems[0], in_base64(pems[1] + pems[2])])) == previous("".join(pems))


BAD_PRIVATE: dict[str, Callable[[], str]] = {
    **{kind: partial(private_pem, kind) for kind in OTHER_KINDS},
    "encrypted": lambda: private_pem("Ed25519", password="hunter2"),
    "encrypted, the old way": lambda: private_pem("RSA", form="TraditionalOpenSSL", password="hunter2"),
    "a public key": lambda: public_pem("Ed25519"),
    "a certificate": certificate_pem,
    "two keys": lambda: private_pem("Ed25519") + private_pem("P-256"),
    "both halves": lambda: private_pem("Ed25519") + public_pem("Ed25519"),
    "without its end": lambda: private_pem("Ed25519").partition("-----END")[0],
    "with its middle missing": lambda: private_pem("RSA").replace("\n", "", 1)[:900] + private_pem("RSA")[-300:],
    "of a kind to come": lambda: unknown(private_pem("Ed25519")),
    "in base64 twice": lambda: in_base64(in_base64(private_pem("Ed25519"))),
    "a password": lambda: "hunter2hunter2",
    "no text": lambda: "\udcff\udcfe",
}


@each_case("kind", BAD_PRIVATE)
def test_a_private_key_that_cannot_sign_is_refused_by_name(kind: str) -> None:
    """One sentence says which keys are accepted, and shows nothing of the value."""
    text = BAD_PRIVATE[kind]()
    for value in {text, in_base64(text)} if text.isascii() else {text}:
        assert problems({**NO_SECRET, "SECRET": OTHER_KEY, "JWT_PRIVATE_KEY": value}) == [PRIVATE]


BAD_PUBLIC: dict[str, Callable[[], str]] = {
    **{kind: partial(public_pem, kind) for kind in OTHER_KINDS},
    "a private key": lambda: private_pem("Ed25519"),
    "a certificate": certificate_pem,
    "one good, one bad": lambda: public_pem("Ed25519") + public_pem("P-384"),
    "the second without its end": lambda: public_pem("Ed25519") + public_pem("P-256").partition("-----END")[0],
    "of a kind to come": lambda: unknown(public_pem("Ed25519")),
    "a comma too many": lambda: public_pem("Ed25519") + ",",
    "text": lambda: "hunter2hunter2",
}


@each_case("kind", BAD_PUBLIC)
def test_previous_keys_that_cannot_verify_are_refused_by_name(kind: str) -> None:
    """No key is left out silently, since its tokens would be refused."""
    text = BAD_PUBLIC[kind]()
    for value in {text, in_base64(text)}:
        assert problems({**LEAST, "JWT_PUBLIC_KEYS_PREVIOUS": value}) == [PUBLIC]


def test_either_a_secret_or_a_private_key_signs() -> None:
    """Exactly one of JWT_SECRET and JWT_PRIVATE_KEY must be set."""
    private = {"JWT_PRIVATE_KEY": private_pem("Ed25519"), "SECRET": OTHER_KEY}
    assert problems(NO_SECRET) == ["JWT_SECRET or JWT_PRIVATE_KEY is required"]
    both = ["JWT_SECRET and JWT_PRIVATE_KEY are mutually exclusive: move the secret to JWT_SECRET_PREVIOUS"]
    assert problems({**LEAST, **private}) == both
    assert signer(private_pem("Ed25519")).algorithm == "EdDSA"
    assert read().jwt_keys[0].algorithm == "HS256"


def test_codes_need_a_secret_if_a_private_key_signs() -> None:
    """A private key signs tokens and serves no other purpose."""
    private = {**NO_SECRET, "JWT_PRIVATE_KEY": private_pem("Ed25519")}
    assert problems(private) == ["SECRET is required with JWT_PRIVATE_KEY"]
    assert problems({**private, "JWT_SECRET_PREVIOUS": KEY}) == ["SECRET is required with JWT_PRIVATE_KEY"]


def test_previous_keys_still_verify_with_any_signing_key() -> None:
    """Previous secrets and public keys follow the signing key; an old secret also serves the codes in flight."""
    now = {"JWT_SECRET_PREVIOUS": KEY, "JWT_PUBLIC_KEYS_PREVIOUS": public_pem("RSA")}
    settings = read(JWT_SECRET="", JWT_PRIVATE_KEY=private_pem("P-256"), SECRET=OTHER_KEY, **now)
    assert [key.algorithm for key in settings.jwt_keys] == ["ES256", "HS256", "RS256"]
    assert settings.jwt_keys[1] == shared_key(KEY.encode())
    assert [secret.reveal() for secret in settings.secrets] == [OTHER_KEY, KEY]
    back = read(JWT_SECRET=OTHER_KEY, **now)
    assert [key.algorithm for key in back.jwt_keys] == ["HS256", "HS256", "RS256"]


@each_case("form", ["SubjectPublicKeyInfo", "in base64"])
@each_case("name", ["JWT_SECRET", "JWT_SECRET_PREVIOUS", "SECRET", "SECRET_PREVIOUS"])
def test_a_public_key_is_never_a_secret(name: str, form: str) -> None:
    """A public key is refused as a secret, since anyone could sign with it (RFC 8725, section 2.1)."""
    pem = public_pem("RSA")
    value = in_base64(pem) if form == "in base64" else pem
    assert problems({**LEAST, name: value}) == [f"{name} must be random text, not a key file"]


@pytest.mark.parametrize("name", ["JWT_PRIVATE_KEY", "JWT_PUBLIC_KEYS_PREVIOUS"])
def test_without_the_package_cryptography_a_key_is_one_problem(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The problem names the package and the option of the build."""
    for module in [module for module in sys.modules if module.startswith("cryptography")] + ["cryptography"]:
        monkeypatch.setitem(sys.modules, module, None)
    least = LEAST if name == "JWT_PUBLIC_KEYS_PREVIOUS" else {**NO_SECRET, "SECRET": OTHER_KEY}
    problem = "needs the package cryptography: make build WITH=asymmetric"
    assert problems({**least, name: private_pem("Ed25519")}) == [f"{name} {problem}"]


def test_keys_are_never_printed() -> None:
    """Neither the repr of the settings nor that of a key shows a secret or a private key."""
    settings = read(JWT_SECRET="", JWT_PRIVATE_KEY=private_pem("RSA"), SECRET=OTHER_KEY, JWT_SECRET_PREVIOUS=KEY)
    assert repr(shared_key(KEY.encode())) == "Key('HS256', None)"
    assert repr(settings.jwt_keys[0]) == f"Key('RS256', '{settings.jwt_keys[0].kid}')"
    printed = repr(settings)
    assert [secret for secret in (KEY, OTHER_KEY, private_pem("RSA").split("\n")[1]) if secret in printed] == []


def test_a_key_is_parsed_once() -> None:
    """The settings hold parsed keys, so no token causes another parse."""
    key = signer(private_pem("RSA"))
    assert type(key.signer).__name__ == "RSAPrivateKey"
    assert type(key.verifier).__name__ == "RSAPublicKey"
