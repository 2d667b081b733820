"""The composition root: builds the app from the environment. The only deployed module that names adapters."""

from collections.abc import Mapping
from functools import partial

from msgspec import Struct
from msgspec.structs import asdict

from sms_login import logs
from sms_login.adapters.redis.client import RedisClient, connect
from sms_login.adapters.redis.codes import RedisChallenges
from sms_login.adapters.redis.connections import Client
from sms_login.adapters.redis.limits import RedisLimits
from sms_login.adapters.redis.receipts import RedisReceipts
from sms_login.adapters.redis.sessions import RedisSessions
from sms_login.adapters.redis.statistics import RedisStatistics
from sms_login.adapters.redis.users import RedisUsers
from sms_login.adapters.tencent import receipts
from sms_login.adapters.tencent.captcha import TencentCaptcha
from sms_login.adapters.tencent.sms import TencentSms, sms_api
from sms_login.adapters.tencent.voice import TencentVoice, voice_api
from sms_login.app import App, Misconfigured
from sms_login.http.cors import Origins
from sms_login.limits.captcha import Captcha, CaptchaPolicy
from sms_login.limits.guard import Guard
from sms_login.limits.policy import Policy
from sms_login.otp.codes import CodeMaker
from sms_login.otp.conversions import Conversions
from sms_login.otp.delivery import Deliveries
from sms_login.otp.login import LoginService
from sms_login.otp.parts import OtpParts
from sms_login.otp.purposes import BUILT_IN
from sms_login.otp.send import Sender
from sms_login.otp.test_numbers import FixedCodes
from sms_login.otp.verify import Verifier
from sms_login.periods import Calendar
from sms_login.sessions.access_tokens import AccessTokens
from sms_login.sessions.keys import KeyRing
from sms_login.sessions.proofs import Proofs
from sms_login.sessions.refresh_tokens import RefreshTokens
from sms_login.sessions.service import Sessions
from sms_login.settings.reader import ConfigError
from sms_login.settings.settings import Settings
from sms_login.sms import MAINLAND, Sms, Voice
from sms_login.statistics import Statistics
from sms_login.users import Users

Handler = App | Misconfigured


class Outside(Struct, frozen=True):
    """The outside parties of an app."""

    redis: RedisClient
    users: Users
    sms: Sms
    captcha: Captcha | None
    voice: Voice | None = None


def build(environ: Mapping[str, str]) -> Handler:
    """Return the app that `environ` describes, not connected yet.

    If settings are wrong, log all problems, and return an app that answers 500 and logs them again. `environ` is kept,
    since the platform replaces the credentials in it from time to time.
    """
    try:
        return assemble(environ)
    except ConfigError as error:
        logs.set_up("INFO")
        logs.problem("misconfigured", problems=error.problems)
        return Misconfigured(error.problems)


def assemble(environ: Mapping[str, str], *, origins: type[Origins] = Origins) -> App:
    """Return the app that `environ` describes, not connected yet. Raises ConfigError that names all problems."""
    settings = Settings.read(environ)
    logs.set_up(settings.log_level)
    redis = RedisClient(partial(connect_redis, settings))
    outside = Outside(
        redis=redis,
        users=connect_users(settings, redis),
        sms=tencent_sms(settings, environ),
        captcha=tencent_captcha(settings, environ) if settings.captcha_app_id else None,
        voice=tencent_voice(settings, environ) if settings.vms_sdkappid else None,
    )
    return app(settings, outside, origins=origins)


def app(settings: Settings, outside: Outside, *, origins: type[Origins] = Origins) -> App:
    """Return the app of the settings, among these outside parties."""
    redis, users, send = outside.redis, outside.users, outside.redis.send
    calendar = Calendar(settings.tz_offset)
    secrets = [secret.key() for secret in settings.secrets]
    fixed = FixedCodes(settings.test_numbers, settings.test_numbers_until, calendar)
    ring = KeyRing(*settings.jwt_keys)
    sessions = Sessions(
        users=users,
        store=RedisSessions(redis, settings.session_rules),
        access_tokens=AccessTokens(ring, settings.jwt_issuer, settings.jwt_audience, settings.token_ttl),
        refresh_tokens=RefreshTokens(*secrets),
        test_number_ended=fixed.ended,
        send=send,
    )
    countries, captcha = allowed_countries(settings), None
    statistics = Statistics(countries, on=settings.statistics)
    redis.riders = RedisStatistics(redis, statistics).riders
    if outside.captcha and settings.captcha_mode != "off":
        captcha = CaptchaPolicy(outside.captcha, settings.captcha_app_id, always=settings.captcha_mode == "always")
    guard = Guard(
        store=RedisLimits(redis),
        policy=Policy(settings.limits, home=settings.default_country, captcha=captcha is not None),
        countries=countries,
        captcha=captcha,
        sending=settings.sending,
        send=send,
    )
    parts = OtpParts(
        challenges=RedisChallenges(redis, settings.rules),
        guard=guard,
        maker=CodeMaker(*secrets),
        fixed=fixed,
        rules=settings.rules,
        calendar=calendar,
        conversions=Conversions(outside.sms.report_conversion if settings.sms_report_conversion else None),
        send=send,
    )
    abroad = settings.sms_abroad.purposes if settings.sms_abroad else {}
    purposes = BUILT_IN.union(settings.sms_mainland.purposes, abroad)
    verifier = Verifier(
        **asdict(parts), require_session=settings.require_session, statistics=statistics, purposes=purposes
    )
    proofs = Proofs(ring, settings.jwt_issuer, settings.jwt_audience)
    return App(
        sender=Sender(**asdict(parts), sms=outside.sms, voice=outside.voice),
        deliveries=Deliveries(
            store=RedisReceipts(redis, purposes),
            read=receipts.read,
            keys=[key.key() for key in (settings.sms_receipt_key, settings.sms_receipt_key_previous) if key],
            send=send,
            statistics=statistics,
        ),
        login=LoginService(verifier=verifier, users=users, sessions=sessions, proofs=proofs),
        sessions=sessions,
        statistics=statistics,
        check_redis=redis.check,
        check_users=users.check,
        public_keys=ring.public(),
        default_country=settings.default_country,
        countries=countries,
        test_numbers=frozenset(settings.test_numbers),
        purposes=purposes,
        origins=origins(settings.allowed_origins),
        client_ip_source=settings.client_ip_source,
    )


def connect_redis(settings: Settings) -> Client:
    """Return redis-py's client for the Redis of the settings."""
    return connect(
        settings.redis_host,
        settings.redis_port,
        password=settings.redis_password.reveal() or None,
        db=settings.redis_db,
        tls=settings.redis_tls,
        ca_file=settings.redis_ca_file or None,
        tls_name=settings.redis_tls_name,
        cluster=settings.redis_cluster,
    )


def tencent_sms(settings: Settings, environ: Mapping[str, str]) -> TencentSms:
    """Return SendSms with the applications of the settings."""
    return TencentSms(
        api=sms_api(environ, region=settings.sms_region, endpoint=settings.sms_endpoint, timeout=settings.sms_timeout),
        mainland=settings.sms_mainland,
        abroad=settings.sms_abroad,
        template_params=settings.sms_template_params,
        minutes=max(1, settings.rules.life // 60),
    )


def tencent_voice(settings: Settings, environ: Mapping[str, str]) -> TencentVoice:
    """Return voice calls with the application of the settings, which must have one."""
    region, timeout = settings.sms_region, settings.sms_timeout
    api = voice_api(environ, region=region, endpoint=settings.vms_endpoint, timeout=timeout)
    return TencentVoice(api, settings.vms_sdkappid)


def tencent_captcha(settings: Settings, environ: Mapping[str, str]) -> TencentCaptcha:
    """Return the captcha application of the settings, which must have one."""
    return TencentCaptcha(
        environ,
        app_id=settings.captcha_app_id,
        app_secret=settings.captcha_app_secret.reveal(),
        endpoint=settings.captcha_endpoint,
    )


def allowed_countries(settings: Settings) -> frozenset[str] | None:
    """Return the allowed countries that a template reaches; None for all."""
    if settings.sms_abroad:
        return settings.allowed_countries
    return frozenset({MAINLAND}).intersection(settings.allowed_countries or {MAINLAND})


def connect_users(settings: Settings, redis: RedisClient) -> Users:
    """Return the user table at USERS_URL, or in Redis if there is none. Raises ConfigError without its libraries."""
    url, reverify_after = settings.users_url.reveal(), settings.reverify_after * 86400
    if not url:
        return RedisUsers(redis, reverify_after)
    try:
        # SQLAlchemy is slow to import, and a build without the option has neither it nor these modules.
        from sms_login.adapters.sql import client, users  # noqa: PLC0415 - see above

        return users.SqlUsers(client.SqlClient(client.connect(url)), reverify_after)
    except ModuleNotFoundError as missing:
        raise ConfigError([f"USERS_URL needs {missing.name}: make build WITH=sql"]) from missing
