"""The strength of the keys. The settings check their length; this looks for secrets that could be guessed."""

import re
from collections.abc import Iterator, Mapping
from itertools import pairwise

from sms_admin.check.report import Finding, ok, warning
from sms_admin.language import tr
from sms_login.settings.settings import Settings

_LEAST_DISTINCT = 10  # characters; 32 random hexadecimal digits have 14 on average, and hardly ever fewer than 10
_NAMES = ("JWT_SECRET", "JWT_SECRET_PREVIOUS", "SECRET", "SECRET_PREVIOUS")
_WORDS = re.compile(r"change.?me|password|secret|example|123456|qwerty", re.IGNORECASE)
_KINDS = {"EdDSA": "Ed25519", "ES256": "P-256", "RS256": "RSA"}


def check(settings: Settings, environ: Mapping[str, str]) -> Iterator[Finding]:
    """Report the signing key, the secret that protects codes, and secrets that could be guessed."""
    values = {name: value for name in _NAMES if (value := environ.get(name, "").strip())}
    signer = settings.jwt_keys[0]
    if signer.jwk:
        kind = _KINDS[signer.algorithm]
        if signer.algorithm == "RS256":
            kind += tr(f" of {signer.verifier.key_size} bits", f"，{signer.verifier.key_size} 位")
        found = tr(f"{signer.algorithm}, with a private key {kind}", f"{signer.algorithm}，私钥为 {kind}")
        yield ok("keys.tokens", found)
    else:
        length = len(signer.verifier)
        yield ok("keys.tokens", tr(f"HS256, with a secret of {length} bytes", f"HS256，密钥长 {length} 字节"))
    yield ok("keys.codes", _codes(values))
    for name, value in values.items():
        if why := weakness(value):
            kind = name.removesuffix("_PREVIOUS")
            again = tr(
                f"make another: openssl rand -base64 32; move this one to {kind}_PREVIOUS for REFRESH_TTL",
                f"请用 openssl rand -base64 32 另生成一个；旧值移到 {kind}_PREVIOUS，保留 REFRESH_TTL 之久",
            )
            todo = again if kind == name else tr("remove it as soon as you can", "请尽快删除")
            yield warning("keys.strength", tr(f"{name} {why}: it could be guessed", f"{name} {why}：可能被猜中"), todo)
        elif name.endswith("_PREVIOUS") and value == values.get(name.removesuffix("_PREVIOUS")):
            current = name.removesuffix("_PREVIOUS")
            found = tr(f"{name} equals {current}: nothing was rotated", f"{name} 与 {current} 相同：并没有更换密钥")
            todo = tr("give the first a new value, or remove the second", "请为后者设置新值，或删除前者")
            yield warning("keys.rotation", found, todo)
        elif name.endswith("_PREVIOUS"):
            found = tr(
                f"{name} is still accepted: remove it REFRESH_TTL after the change",
                f"{name} 仍被接受：更换密钥并过了 REFRESH_TTL 之后请删除",
            )
            yield ok("keys.rotation", found)
    yield from _public(*(key.kid for key in settings.jwt_keys))


def _public(signer: str | None, *others: str | None) -> Iterator[Finding]:
    """Report the public keys beside the one that signs; None stands for a shared secret."""
    for kid in filter(None, others):
        if kid == signer:
            found = tr(
                f"JWT_PUBLIC_KEYS_PREVIOUS has {kid}, which signs: nothing was rotated",
                f"JWT_PUBLIC_KEYS_PREVIOUS 中的 {kid} 正在用于签发：并没有更换密钥",
            )
            todo = tr(
                "put the public half of the key that signed before it there instead",
                "此处应放之前用于签发的密钥的公钥",
            )
            yield warning("keys.rotation", found, todo)
        else:
            found = tr(
                f"JWT_PUBLIC_KEYS_PREVIOUS publishes {kid}: the next key, or a previous one, to be removed "
                "TOKEN_TTL and a minute after the change",
                f"JWT_PUBLIC_KEYS_PREVIOUS 公布了 {kid}：下一个密钥，或之前的密钥（更换后过 TOKEN_TTL 加一分钟请删除）",
            )
            yield ok("keys.rotation", found)


def _codes(values: Mapping[str, str]) -> str:
    secret = values.get("SECRET")
    if secret and secret != values.get("JWT_SECRET"):
        length = len(secret.encode(errors="surrogateescape"))
        return tr(f"SECRET, of {length} bytes", f"SECRET，长 {length} 字节")
    return tr(
        "JWT_SECRET, through a key derived from it; set SECRET before you give JWT_SECRET to another service",
        "由 JWT_SECRET 派生的密钥；将 JWT_SECRET 交给其他服务之前，请先设置 SECRET",
    )


def weakness(secret: str) -> str | None:
    """Return why a secret does not look random; None if it does."""
    if len(set(secret)) < _LEAST_DISTINCT:
        return tr(f"has only {len(set(secret))} different characters", f"只有 {len(set(secret))} 个不同的字符")
    if secret in (secret * 2)[1:-1]:  # a text that occurs inside its double, shifted, repeats a shorter one
        return tr("repeats itself", "自我重复")
    steps = sum(abs(ord(a) - ord(b)) <= 1 for a, b in pairwise(secret))
    if steps > len(secret) / 2:
        return tr("is mostly a run of consecutive characters", "大部分是连续的字符")
    if _WORDS.search(secret):
        return tr("contains a common word", "含有常见单词")
    return None
