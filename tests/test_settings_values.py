"""Settings: the documented defaults; all problems at once, by name and without secrets."""

import re
from typing import Any

import pytest
from msgspec.structs import asdict, replace
from sqlalchemy import make_url

from sms_admin.check.settings_words import in_chinese
from sms_admin.users_table import users_url
from sms_login.limits.policy import Limits
from sms_login.otp.rules import Rules
from sms_login.sessions.keys import shared_key
from sms_login.sessions.store import SessionRules
from sms_login.settings.reader import ConfigError
from sms_login.settings.settings import TABLE, Settings
from sms_login.sms import SmsRoute
from tests.testkit.cases import each_case
from tests.testkit.environ import KEY, LEAST, problems, read


def test_the_smallest_environment_works_with_the_documented_defaults() -> None:
    """Five variables are required, and every other setting has a default."""
    settings = read()
    assert {
        name: getattr(settings, name)
        for name in Settings.__struct_fields__
        if name not in {"secrets", "jwt_keys", "redis_password", "captcha_app_secret", "users_url"}
        and not name.startswith("sms_receipt_key")
    } == {
        "redis_host": "10.0.0.2",
        "reverify_after": 0,
        "redis_port": 6379,
        "redis_db": 0,
        "redis_tls": False,
        "redis_ca_file": "",
        "redis_tls_name": "",
        "redis_cluster": False,
        "sms_mainland": SmsRoute("1400000000", "签名", "1000000"),
        "sms_abroad": None,
        "sms_template_params": ("code", "minutes"),
        "sms_region": "ap-guangzhou",
        "sms_endpoint": "sms.tencentcloudapi.com",
        "sms_timeout": 5,
        "vms_sdkappid": "",
        "vms_endpoint": "vms.tencentcloudapi.com",
        "jwt_issuer": "sms-login",
        "jwt_audience": "sms-login",
        "token_ttl": 7200,
        "default_country": "CN",
        "allowed_countries": {"CN"},
        "tz_offset": 8,
        "require_session": False,
        "rules": Rules(life=300, age=600, guesses=3, cooldown=30, daily=10, lock_at=100, lock_for=86400),
        "session_rules": SessionRules(),
        "limits": Limits(),
        "sending": True,
        "captcha_app_id": "",
        "captcha_mode": "adaptive",
        "captcha_endpoint": "captcha.tencentcloudapi.com",
        "test_numbers": {},
        "test_numbers_until": "",
        "client_ip_source": "platform",
        "allowed_origins": frozenset(),
        "statistics": True,
        "sms_report_conversion": False,
        "log_level": "INFO",
    }
    assert [secret.reveal() for secret in settings.secrets] == [KEY]
    assert settings.jwt_keys == (shared_key(KEY.encode()),)
    assert not settings.redis_password
    assert not settings.users_url


def test_every_required_setting_that_is_missing_is_named_at_once() -> None:
    """One deployment shows all missing settings."""
    names = [name for name in LEAST if name != "JWT_SECRET"] + ["JWT_SECRET or JWT_PRIVATE_KEY"]
    assert sorted(problems({})) == sorted(f"{name} is required" for name in names)


def test_problems_name_settings_and_never_show_values() -> None:
    """A value may be a secret, even one in the wrong variable, so no problem shows it."""
    bad = dict.fromkeys(_BAD.keys() - {"SENDING"}, "hunter2!") | {
        "REDIS_PASSWORD": "p4ssw0rd",
        "SECRET_PREVIOUS": "hunter2!",
    }
    found = problems({**LEAST, **bad})
    assert {problem.split()[0] for problem in found} == _BAD.keys() - {"SENDING"} | {"SECRET_PREVIOUS"}
    assert "hunter2" not in str(found)
    assert "p4ssw0rd" not in str(found)


_LIMITS = {
    "IP_HOURLY_LIMIT": "ip_hour",
    "IP_DAILY_LIMIT": "ip_day",
    "IP_GUESS_LIMIT": "guesses",
    "IP_REFUSED_LIMIT": "refused",
    "RANGE_HOURLY_LIMIT": "range_hour",
    "RANGE_DAILY_LIMIT": "range_day",
    "RANGE_DAILY_BUDGET": "range_total",
    "COUNTRY_HOURLY_LIMIT": "country_hour",
    "COUNTRY_DAILY_BUDGET": "country_total",
    "VOICE_DAILY_BUDGET": "calls",
    "DAILY_BUDGET": "total",
}
_WHOLE = ["x", "1.5", "-1", "1e3", "0x10", "9" * 5000, "undefined"]
_BAD = {
    "REDIS_PORT": [*_WHOLE, "0", "65536"],
    "REDIS_DB": [*_WHOLE, "256"],
    "REDIS_TLS": ["2", "y", "enabled", "undefined"],
    "REDIS_TLS_NAME": ["**", "*.example.com", "redis.example.com:6379", "rediss://redis.example.com"],
    "REDIS_CLUSTER": ["-1", "1.0"],
    "REQUIRE_SESSION": ["none"],
    "USERS_URL": [
        "redis://10.0.0.3",
        "mysql://u:p@10.0.0.3/db",  # this URL would need another library
        "postgresql+psycopg://u:p@10.0.0.3/db",
        "mysql+pymysql://10.0.0.3/db",
        "mysql+pymysql://u:p@10.0.0.3",
        "mysql+pymysql://u:p@10.0.0.3/",
        "mysql+pymysql://u:p@10.0.0.3:/db",
        "mysql+pymysql://u:p@10.0.0.3:port/db",
        "mysql+pymysql://u:p@10.0.0.3:0/db",
        "mysql+pymysql://u:p@10.0.0.3:65536/db",
        "mysql+pymysql://u:p@ss@10.0.0.3/db",
        "mysql+pymysql://u:p@10.0.0.3/db?autocommit=0",
        "mysql+pymysql://u:p@10.0.0.3/db?charset=utf8",
        "mysql+pymysql://u:p@10.0.0.3/db?ssl_ca=",
        "mysql+pymysql://u:p@10.0.0.3/db?ssl_check_hostname=no",
        "mysql+pymysql://u:p@10.0.0.3/db?charset=utf8mb4ssl_ca=x",
        "mysql+pymysql://u:p@10.0.0.3/db?",
        "sqlite://",
        "sqlite:///",
        "sqlite:///:memory:",  # every connection would have tables of its own
        "sqlite:///users.db?mode=memory",
        "undefined",
    ],
    "SMS_TIMEOUT": ["x", "0", "-1", "31", "nan", "inf"],
    "SMS_ENDPOINT": ["ftp://example.com", "http://", "user:pass@example.com", "example.com/path", "a b"],
    "SMS_TEMPLATE_PARAMS": ["minutes", "code,code", "code,", ",", "code,name", "code minutes"],
    "SMS_PURPOSES": [
        *("login", "login=1", "pay=", "pay=x", "pay=1=2", "=1", "pay,pay", "pay=1,pay=2", "pay;x", "a b", "1pay"),
        *("pay:1", "pay= 1", "付款=1", "pay=１", "x" * 33, "undefined"),
    ],
    "SMS_INTL_PURPOSES": ["login", "pay=x"],
    "TOKEN_TTL": [*_WHOLE, "59", "2592001"],
    "CODE_TTL": [*_WHOLE, "29", "601"],
    "RESEND_COOLDOWN": [*_WHOLE, "0", "3601"],
    "DAILY_LIMIT": [*_WHOLE, "0", "1000001"],
    "TZ_OFFSET": ["x", "-12.5", "15", "nan", "+8:00"],
    "DEFAULT_COUNTRY": ["ZZ", "86", "CHN", "CN,US", "*"],
    "ALLOWED_COUNTRIES": ["ZZ", "CN;US", "CN,", "*,CN", "CN,86"],
    "LOG_LEVEL": ["TRACE", "10", "INFO,DEBUG"],
    **{name: [*_WHOLE, "0", "1000000001"] for name in _LIMITS},  # 0 could be read as unlimited
    "SENDING": ["undefined"],
    "CAPTCHA_APP_ID": ["x", "-1", "1.5", "１９", "190000 42", "undefined"],
    "CAPTCHA_MODE": ["on", "1", "adaptive,always", "undefined"],
    "CAPTCHA_ENDPOINT": ["ftp://example.com", "http://", "user:pass@example.com", "example.com/path", "a b"],
    "CLIENT_IP_SOURCE": [
        *("forwarded", "forwarded:", "forwarded:0", "forwarded:-1", "forwarded:x", "forwarded:1.5", "forwarded: 1"),
        *("forwarded:１", "forwarded:01", "Platform", "x-forwarded-for", "platform,none", "1", "undefined"),
    ],
    "ALLOWED_ORIGINS": [
        *("*", "https://*.example.com", "app.example.com", "//app.example.com", "https://", "https:", "javascript:x"),
        *(
            "https://app.example.com/",
            "https://app.example.com/path",
            "https://app.example.com?q",
            "https://a.example#f",
        ),
        *(
            "https://user@app.example.com",
            "https://app.example.com:",
            "https://app.example.com:x",
            "https://a_b.example",
        ),
        *("https://a.example https://b.example", "https://a.example;https://b.example", "https://a .example"),
        *(
            "file:///",
            "file:",
            "https://a.example,https://b.example/",
            "null,*",
            "https://ａ.example",
            "undefined",
        ),
    ],
    "TEST_NUMBERS": [
        *("x", "+8613800138000", "+8613800138000=", "=123456", "+8613800138000:123456", "+8613800138000 = 123456"),
        *("+8613800138000=12345", "+8613800138000=1234567", "+8613800138000=12345x", "+8613800138000=１２３４５６"),
        *("13800138000=123456", "8613800138000=123456", "008613800138000=123456", "+86 13800138000=123456"),
        *(
            "+861062345678=123456",
            "+864001234567=123456",
            "+861=123456",
            "+99913800138000=123456",
        ),  # not mobile numbers
        *("+86015400000000=123456", "+861540000000=123456", "+86154000000000=123456", "+8699900000000=123456"),
        *("+8613800138000=123456;+8613800138001=123456", "+8613800138000=123456,x", "undefined"),
    ],
    "JWT_SECRET": ["short", "k" * 31],
    "JWT_SECRET_PREVIOUS": ["short"],
    "SECRET": ["short"],
}


def test_a_value_that_cannot_work_is_refused_by_name() -> None:
    """The problem of an impossible value begins with the name of its variable."""
    cases = [(name, value) for name, values in _BAD.items() for value in values]
    named = {case: {problem.split()[0] for problem in problems({**LEAST, case[0]: case[1]})} for case in cases}
    assert {case: names for case, names in named.items() if names != {case[0]}} == {}


def test_the_operators_commands_tell_each_problem_in_chinese() -> None:
    """Each sentence has its Chinese one, which names the same settings."""
    told = {*problems({}), *problems({**LEAST, "REDIS_HOST": "undefined", "SMS_SIGN": "'x'"})}
    told |= {
        problem for name, values in _BAD.items() for value in values for problem in problems({**LEAST, name: value})
    }
    for changes in (
        {"JWT_PRIVATE_KEY": "x"},
        {"JWT_SECRET": "", "JWT_PUBLIC_KEYS_PREVIOUS": "x", "JWT_PRIVATE_KEY": "x"},
        {"REDIS_CLUSTER": "1", "REDIS_DB": "1"},
        {"REDIS_TLS": "1", "REDIS_TLS_NAME": "*"},
        {"CAPTCHA_MODE": "always"},
        {"CAPTCHA_APP_ID": "1"},
        {"SMS_INTL_SDKAPPID": "1"},
    ):
        told |= {*problems({**LEAST, **changes})}
    chinese = {problem: in_chinese(problem) for problem in told}
    assert [problem for problem, words in chinese.items() if words.startswith("有误") or problem in words] == []
    names = re.compile("[A-Z][A-Z_]{3,}[A-Z]")
    for problem, words in chinese.items():
        assert {*names.findall(problem.split(":")[0])} <= {*names.findall(words)}, (problem, words)


_GOOD: list[tuple[str, str, Any]] = [
    ("REDIS_HOST", " redis.example.com ", "redis.example.com"),
    ("REDIS_PORT", "65535", 65535),
    ("REDIS_DB", "255", 255),
    ("REDIS_TLS", "1", True),
    *(("REDIS_TLS", text, True) for text in ("True", "on", "ON", "Yes")),
    *(("REDIS_CLUSTER", text, False) for text in ("false", "FALSE", "off", "No", "0")),
    ("REQUIRE_SESSION", "1", True),
    *(("REDIS_HOST", host, host) for host in ("redis", "crs-1a2b.sql.tencentcdb.com", "redis.", "my_redis", "fd00::1")),
    ("REDIS_CA_FILE", "/opt/ca.pem", "/opt/ca.pem"),
    ("SMS_TIMEOUT", "0.5", 0.5),
    ("SMS_ENDPOINT", "http://127.0.0.1:1234", "http://127.0.0.1:1234"),
    ("SMS_ENDPOINT", "https://sms.internal.tencentcloudapi.com/", "https://sms.internal.tencentcloudapi.com/"),
    ("SMS_ENDPOINT", "localhost:1234", "localhost:1234"),
    ("SMS_TEMPLATE_PARAMS", "code", ("code",)),
    ("SMS_TEMPLATE_PARAMS", "minutes, code", ("minutes", "code")),
    ("TOKEN_TTL", "60", 60),
    ("TZ_OFFSET", "-3.5", -3.5),
    ("DEFAULT_COUNTRY", "gb", "GB"),
    ("ALLOWED_COUNTRIES", "*", None),
    ("ALLOWED_COUNTRIES", "cn, HK ,mo", {"CN", "HK", "MO"}),
    ("LOG_LEVEL", "DEBUG", "DEBUG"),
    ("LOG_LEVEL", "debug", "DEBUG"),
    ("LOG_LEVEL", "Warning", "WARNING"),
    *(("SENDING", text, True) for text in ("on", "ON", "1", "true", "Yes")),
    *(("SENDING", text, False) for text in ("off", "OFF", "0", "False", "no", "stop", '"off"', "'on'", "ｏｆｆ", "\0")),
    ("CAPTCHA_MODE", "off", "off"),
    ("CAPTCHA_MODE", "Adaptive", "adaptive"),
    ("CAPTCHA_ENDPOINT", "http://127.0.0.1:1234", "http://127.0.0.1:1234"),
    ("CLIENT_IP_SOURCE", "none", "none"),
    ("CLIENT_IP_SOURCE", "forwarded:1", "forwarded:1"),
    ("CLIENT_IP_SOURCE", "forwarded:9", "forwarded:9"),
    ("ALLOWED_ORIGINS", "https://app.example.com", {"https://app.example.com"}),
    ("ALLOWED_ORIGINS", " HTTPS://App.Example.com , null,", {"https://app.example.com", "null"}),
    ("ALLOWED_ORIGINS", "capacitor://localhost,ionic://localhost", {"capacitor://localhost", "ionic://localhost"}),
    ("ALLOWED_ORIGINS", "FILE://,null", {"file://", "null"}),
    ("ALLOWED_ORIGINS", "http://[::1]:9000,http://127.0.0.1:5173", {"http://[::1]:9000", "http://127.0.0.1:5173"}),
]


def test_a_value_that_works_is_accepted() -> None:
    """A value is read in each of its allowed forms."""
    found = [(name, value, getattr(read(**{name: value}), name.lower())) for name, value, _ in _GOOD]
    assert found == _GOOD


@each_case(
    "host",
    [
        *(
            "redis://10.0.0.2",
            "rediss://:hunter2@10.0.0.2:6379/0",
            "10.0.0.2:6379",
            "redis:6379",
            "[fd00::1]",
            "[::1]:6379",
        ),
        *(
            "10.0.0.256",
            "10.0.0",
            "10.0.0.02",
            "1",
            "-redis",
            "redis-",
            "re dis",
            "redis,redis2",
            "redis..example",
            ".redis",
        ),
        *("/var/run/redis.sock", "10.0.0.2/0", "a" * 64, "缓存", "redis\0", "hunter2@redis", "."),
    ],
)
def test_a_host_of_redis_is_a_name_or_an_address_alone(host: str) -> None:
    """The problem says where port, password and TLS belong, and never shows the value."""
    (problem,) = problems({**LEAST, "REDIS_HOST": host})
    assert problem.startswith(
        "REDIS_HOST must be a host name or an IP address alone, like 10.0.0.2: a port belongs in "
    )
    assert all(name in problem for name in ("REDIS_PORT", "REDIS_PASSWORD", "REDIS_TLS=1"))
    assert "hunter2" not in problem


def test_a_value_in_quotes_is_one_problem_by_name() -> None:
    """Every setting but the emergency stop refuses quotes, all of them at once, and without the value."""
    for quote in "\"'":
        quoted = {row.name: f"{quote}{LEAST.get(row.name, 'hunter2')}{quote}" for row in TABLE}
        quoted |= {"JWT_PRIVATE_KEY": "", "CAPTCHA_MODE": f"{quote}always{quote}"}
        names = quoted.keys() - {"SENDING", "JWT_PRIVATE_KEY"}
        found = problems(quoted)
        assert sorted(found) == sorted(
            f"{name} is in quotes, which docker --env-file keeps: write it without" for name in names
        )
    assert read(SMS_SIGN='"').sms_mainland.sign == '"'


@each_case(
    "url",
    [
        "mysql+pymysql://u:p@10.0.0.3:3306/db",
        "mysql+pymysql://u@mysql.example.com/my-db_1",
        "mysql+pymysql://u:p%40ss:w/rd@10.0.0.3/db?charset=utf8mb4",
        "mysql+pymysql://u:p@10.0.0.3/db?ssl_ca=/var/user/ca.pem&ssl_check_hostname=false&charset=utf8mb4",
        "mysql+pymysql://u:p@10.0.0.3/db?ssl_ca=ca.pem&ssl_cert=a.pem&ssl_key=a.key&ssl_check_hostname=true",
        "sqlite:///users.db",
        "sqlite:////mnt/users.db",
    ],
)
def test_a_database_of_users_is_named_by_its_url(url: str) -> None:
    """The URL has SQLAlchemy's form, and the commands that need a database read it in the same way."""
    assert read(USERS_URL=url).users_url.reveal() == url
    assert users_url({"USERS_URL": url}).reveal() == url
    assert make_url(url).database


def test_the_options_of_a_database_may_have_commas_between() -> None:
    """A shell needs no quotes then; a comma in the password stays."""
    for before in ("mysql+pymysql://u:p@10.0.0.3/db", "mysql+pymysql://u:p,?ssl_ca=a,b@10.0.0.3/db"):
        url = f"{before}?ssl_ca=/opt/ca.pem,ssl_check_hostname=false"
        assert read(USERS_URL=url).users_url.reveal() == f"{before}?ssl_ca=/opt/ca.pem&ssl_check_hostname=false"
        assert read(USERS_URL=before).users_url.reveal() == before


@each_case("url", ["", "hunter2"])
def test_a_command_that_needs_a_database_says_so(url: str) -> None:
    """It reports a missing or wrong USERS_URL by its name, and without its value."""
    with pytest.raises(ConfigError, match=r"^USERS_URL (is required|must be mysql\+pymysql://)") as error:
        users_url({"USERS_URL": url})
    assert "hunter2" not in str(error.value)


def test_the_rules_of_a_code_are_settings() -> None:
    """Life, cooldown and quota can be set; the rules that NIST gives are fixed."""
    rules = read(CODE_TTL="600", RESEND_COOLDOWN="1", DAILY_LIMIT="1000000").rules
    assert rules == Rules(life=600, cooldown=1, daily=1_000_000)


def test_every_limit_is_a_setting_of_its_own() -> None:
    """A limit may be set from one to a billion, and the others keep their defaults."""
    assert set(_LIMITS.values()) == set(Limits.__struct_fields__)
    for name, field in _LIMITS.items():
        for value in (1, 10**9):
            assert read(**{name: str(value)}).limits == replace(Limits(), **{field: value})


def test_a_captcha_needs_its_application_and_its_secret() -> None:
    """With only one of them, no client could solve a captcha that it is asked for, or none would be asked."""
    settings = read(CAPTCHA_APP_ID="190000042", CAPTCHA_APP_SECRET="hunter2")
    assert (settings.captcha_app_id, settings.captcha_app_secret.reveal()) == ("190000042", "hunter2")
    for name, value in (("CAPTCHA_APP_ID", "190000042"), ("CAPTCHA_APP_SECRET", "hunter2")):
        for mode in ("off", "adaptive"):
            found = problems({**LEAST, name: value, "CAPTCHA_MODE": mode})
            assert found == ["CAPTCHA_APP_ID and CAPTCHA_APP_SECRET go together"]


def test_captcha_mode_always_needs_an_application() -> None:
    """An operator who switches it on in an emergency must not be left without a captcha."""
    assert problems({**LEAST, "CAPTCHA_MODE": "always"}) == ["CAPTCHA_MODE is always, but there is no CAPTCHA_APP_ID"]
    settings = read(CAPTCHA_APP_ID="190000042", CAPTCHA_APP_SECRET="hunter2", CAPTCHA_MODE="always")
    assert settings.captcha_mode == "always"


@each_case("app_id", ["x", "-1", "1.5", "１９", "0x10", "190000 42", "9" * 5000])
def test_the_captchas_application_is_a_number(app_id: str) -> None:
    """An application id that is not a number is one problem with its name, and never a crash."""
    found = problems({**LEAST, "CAPTCHA_APP_ID": app_id, "CAPTCHA_APP_SECRET": "hunter2"})
    assert len(found) == 1
    assert found[0].startswith("CAPTCHA_APP_ID must ")


TEST_NUMBERS = "+8613800138000=123456, +447400123456=000000,+8615400000000=123456,"


def test_test_numbers_have_a_code_each_and_a_last_day() -> None:
    """Test numbers are read in E.164 form, each with its code, and have one last day."""
    settings = read(TEST_NUMBERS=TEST_NUMBERS, TEST_NUMBERS_UNTIL="2028-02-29")
    codes = {number: secret.reveal() for number, secret in settings.test_numbers.items()}
    assert codes == {"+8613800138000": "123456", "+447400123456": "000000", "+8615400000000": "123456"}
    assert settings.test_numbers_until == "20280229"
    for name, value in (("TEST_NUMBERS", TEST_NUMBERS), ("TEST_NUMBERS_UNTIL", "2027-01-31")):
        assert problems({**LEAST, name: value}) == ["TEST_NUMBERS and TEST_NUMBERS_UNTIL go together"]


@each_case(
    "day",
    [
        *("2027-1-5", "2027-01-5", "2027-1-05", "2027-02-29", "2027-02-30", "2027-13-01", "2027-00-10", "2027-01-00"),
        *("20270131", "2027/01/31", "31-01-2027", "27-01-31", "2027-01-31T00:00", "2027-01", "2027", "tomorrow", "9"),
        *("２０２７-01-31", "2027-01-3１", "2027 -01-31", "+2027-01-31", "2027-01-31 2027-01-31", "undefined"),
    ],
)
def test_a_last_day_is_a_date_in_full(day: str) -> None:
    """Days are compared as text: a date in another form would come at the wrong time, or never."""
    found = problems({**LEAST, "TEST_NUMBERS": TEST_NUMBERS, "TEST_NUMBERS_UNTIL": day})
    assert {problem.split()[0] for problem in found} <= {"TEST_NUMBERS_UNTIL", "TEST_NUMBERS"}
    assert found[0].startswith("TEST_NUMBERS_UNTIL ")
    assert day not in str(found).replace("2027-01-31", "") or day == "undefined"


def test_the_captchas_secret_and_the_fixed_codes_are_never_printed() -> None:
    """Neither the repr of the settings nor a problem with them shows a secret or a fixed code."""
    secrets = {"CAPTCHA_APP_SECRET": "hunter2", "TEST_NUMBERS": "+8613800138000=271828"}
    settings = read(CAPTCHA_APP_ID="190000042", TEST_NUMBERS_UNTIL="2027-01-31", **secrets)
    assert not any(secret in repr(settings) for secret in ("hunter2", "271828"))
    found = str(problems({**LEAST, **secrets, "TEST_NUMBERS": "+8613800138000=2718281"}))
    assert not any(secret in found for secret in ("hunter2", "271828", "13800138000"))


@each_case("empty", ["", " "])
def test_an_empty_variable_counts_as_unset(empty: str) -> None:
    """An optional variable that is empty has its default, and a required one is missing."""
    names = [name for name in _BAD if name != "JWT_SECRET"]
    assert repr(asdict(read(**dict.fromkeys(names, empty)))) == repr(asdict(read()))
    assert problems(dict.fromkeys(LEAST, empty)) == problems({})


@each_case(
    "name",
    [
        *(*LEAST, "REDIS_PASSWORD", "SECRET", "SMS_SENDER_ID", "REDIS_PORT"),
        *("CAPTCHA_APP_SECRET", "TEST_NUMBERS", "TEST_NUMBERS_UNTIL", "ALLOWED_ORIGINS"),
    ],
)
def test_the_text_undefined_is_reported_as_a_variable_that_was_not_set(name: str) -> None:
    """A deployment writes this text for an unset variable, and it must not become a password."""
    found = problems({**LEAST, name: "undefined"})
    assert f"{name} is the text 'undefined': the variable was not set when deploying" in found


def test_abroad_needs_an_application_and_a_template() -> None:
    """The two go together, signature and sender are optional, and without all four there is no route abroad."""
    assert read(SMS_INTL_SDKAPPID="1", SMS_INTL_TEMPLATE_ID="2").sms_abroad == SmsRoute("1", "", "2")
    every = {"SMS_INTL_SDKAPPID": "1", "SMS_INTL_SIGN": "s", "SMS_INTL_TEMPLATE_ID": "2", "SMS_SENDER_ID": "from"}
    assert read(**every).sms_abroad == SmsRoute("1", "s", "2", "from")
    every["SMS_INTL_PURPOSES"] = "pay=3,reset"
    assert read(**every).sms_abroad == SmsRoute("1", "s", "2", "from", {"pay": "3", "reset": ""})
    for name, value in every.items():
        assert problems({**LEAST, name: value}) == ["SMS_INTL_SDKAPPID and SMS_INTL_TEMPLATE_ID go together"]


def test_purposes_have_templates_of_their_own_or_that_of_the_login() -> None:
    """White space and empty places between commas are dropped; a built-in purpose may have a template, too."""
    found = read(SMS_PURPOSES=" resetPassword=1234567 ,pay,, changePhone=3,").sms_mainland.purposes
    assert found == {"resetPassword": "1234567", "pay": "", "changePhone": "3"}


def test_a_cluster_has_one_database() -> None:
    """REDIS_DB other than 0 is a problem if REDIS_CLUSTER is set."""
    assert read(REDIS_CLUSTER="1", REDIS_DB="0").redis_cluster
    assert problems({**LEAST, "REDIS_CLUSTER": "1", "REDIS_DB": "1"}) == ["REDIS_DB must be 0 with REDIS_CLUSTER"]


def test_any_name_in_a_certificate_needs_a_ca_of_ones_own() -> None:
    """With the system's CAs alone, the certificate of any website would pass for Redis's."""
    any_name = {**LEAST, "REDIS_TLS_NAME": "*", "REDIS_TLS": "1"}
    assert read(REDIS_TLS="1", REDIS_TLS_NAME="redis.example.com").redis_tls_name == "redis.example.com"
    assert problems(any_name) == ["REDIS_TLS_NAME is *, but without REDIS_CA_FILE any website's certificate would do"]
    assert read(REDIS_TLS="1", REDIS_TLS_NAME="*", REDIS_CA_FILE="/opt/ca.pem").redis_tls_name == "*"
