"""The order of a rotation: the deployed function has to publish a key before these settings sign with it.

A service that verifies tokens keeps the key set, and asks again for an unknown key only after a while (PyJWT 2.15:
30 s). Until then it refuses every token of a key that it has not seen.
"""

import urllib.request
from collections.abc import Iterator
from http.client import HTTPException

import msgspec

from sms_admin.check.report import Finding, ok, problem, warning
from sms_admin.language import tr
from sms_login.http.key_set import LIFETIME
from sms_login.settings.settings import Settings

_TIMEOUT = 10.0  # s; the function may start cold
_LONGEST = 64 * 1024  # bytes


class _Named(msgspec.Struct, frozen=True):
    kid: str


class _KeySet(msgspec.Struct, frozen=True):
    keys: list[_Named]


def check(settings: Settings, url: str) -> Iterator[Finding]:
    """Compare the keys of the settings with those that the function at `url` publishes."""
    try:
        with urllib.request.urlopen(f"{url}?method=jwks", timeout=_TIMEOUT) as answer:  # noqa: S310 - http or https
            published = {key.kid for key in msgspec.json.decode(answer.read(_LONGEST), type=_KeySet).keys}
    except (OSError, HTTPException, ValueError) as error:  # HTTP errors and rubbish are among them
        kind = type(error).__name__
        found = tr(
            f"the key set of the deployed function cannot be read: {kind}", f"无法读取已部署函数的公钥集：{kind}"
        )
        todo = tr("check that --url is the URL that apps call", "请检查 --url 是否为应用所调用的 URL")
        yield problem("keys.published", found, todo)
        return
    signer, *others = (key.kid for key in settings.jwt_keys)
    if signer is None:
        found = tr(
            "JWT_SECRET signs, so no other service verifies tokens", "由 JWT_SECRET 签发，因此没有其他服务校验令牌"
        )
        yield ok("keys.published", found)
    elif signer in published:
        found = tr(
            f"{signer} signs, and is published: deploy once it has been for {LIFETIME} s",
            f"{signer} 用于签发，且已公布：公布满 {LIFETIME} 秒后即可部署",
        )
        yield ok("keys.published", found)
    else:
        found = tr(
            f"{signer} is to sign, but is not published yet: other services would refuse its tokens",
            f"{signer} 将用于签发，但尚未公布：其他服务会拒绝它签发的令牌",
        )
        todo = tr(
            f"deploy its public half in JWT_PUBLIC_KEYS_PREVIOUS with the old key, and wait {LIFETIME} s",
            f"先与旧密钥一起部署：将其公钥放入 JWT_PUBLIC_KEYS_PREVIOUS，再等 {LIFETIME} 秒",
        )
        yield problem("keys.published", found, todo)
    for kid in sorted(published - {signer, *others}):
        found = tr(
            f"{kid} is published, but not in these settings: tokens that it signed would be refused",
            f"{kid} 已公布，但不在这些配置中：它签发的令牌会被拒绝",
        )
        todo = tr(
            "keep its public half in JWT_PUBLIC_KEYS_PREVIOUS for TOKEN_TTL and a minute after its last token",
            "请在 JWT_PUBLIC_KEYS_PREVIOUS 中保留其公钥，直到它的最后一个令牌签发后 TOKEN_TTL 加一分钟",
        )
        yield warning("keys.published", found, todo)
