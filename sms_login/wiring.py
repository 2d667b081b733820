"""The composition root: builds the app from the environment. The only module that names adapters."""

from collections.abc import Mapping
from functools import partial
from typing import Any, Protocol

from sms_login import logs
from sms_login.adapters.redis_client import RedisClient, connect
from sms_login.adapters.redis_codes import RedisCodes
from sms_login.adapters.redis_users import RedisUsers
from sms_login.adapters.tencent import TencentSms
from sms_login.app import App, Misconfigured
from sms_login.codes import CodeMaker
from sms_login.config import ConfigError, Settings
from sms_login.guard import Guard
from sms_login.login import LoginService
from sms_login.sessions import Sessions
from sms_login.tokens import AccessTokens


class Handler(Protocol):
    """What answers events."""

    def handle(self, event: Any, context: Any) -> dict[str, Any]:
        """Return the answer to one event."""


def build(environ: Mapping[str, str]) -> Handler:
    """Return the app that `environ` describes, connected to nothing yet.

    With settings that cannot work it returns one that answers 500 and logs all problems. `environ` is kept: the
    platform replaces the credentials in it from time to time.
    """
    try:
        settings = Settings.read(environ)
    except ConfigError as error:
        logs.set_up("INFO")
        return Misconfigured(error.problems)
    logs.set_up(settings.log_level)
    return _app(settings, environ)


def _app(settings: Settings, environ: Mapping[str, str]) -> App:
    redis = RedisClient(
        partial(
            connect,
            settings.redis_host,
            settings.redis_port,
            password=settings.redis_password.reveal() or None,
            db=settings.redis_db,
            tls=settings.redis_tls,
            ca_file=settings.redis_ca_file or None,
            cluster=settings.redis_cluster,
        )
    )
    sms = TencentSms(
        environ,
        mainland=settings.sms_mainland,
        abroad=settings.sms_abroad,
        template_params=settings.sms_template_params,
        minutes=max(1, settings.rules.life // 60),
        region=settings.sms_region,
        endpoint=settings.sms_endpoint,
        timeout=settings.sms_timeout,
    )
    users = RedisUsers(redis)
    tokens = AccessTokens(
        *(secret.key() for secret in settings.jwt_secrets),
        issuer=settings.jwt_issuer,
        audience=settings.jwt_audience,
        ttl=settings.token_ttl,
    )
    login = LoginService(
        codes=RedisCodes(redis, settings.rules),
        users=users,
        sms=sms,
        guard=Guard(sms, settings.allowed_countries),
        maker=CodeMaker(*(secret.key() for secret in settings.secrets)),
        tokens=tokens,
        rules=settings.rules,
        tz_offset=settings.tz_offset,
        require_session=settings.require_session,
    )
    return App(login=login, sessions=Sessions(users, tokens), ping=redis.ping, default_country=settings.default_country)
