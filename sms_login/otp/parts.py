"""The parts that sending and verifying a code share."""

from msgspec import Struct

from sms_login.calls import Send
from sms_login.limits.guard import Guard
from sms_login.otp.codes import CodeMaker
from sms_login.otp.conversions import Conversions
from sms_login.otp.rules import Rules
from sms_login.otp.store import ChallengeStore
from sms_login.otp.test_numbers import FixedCodes
from sms_login.periods import Calendar


class OtpParts(Struct, frozen=True, kw_only=True, eq=False):
    """The base of Sender and Verifier, which are made of one set of parts."""

    challenges: ChallengeStore
    guard: Guard
    maker: CodeMaker
    fixed: FixedCodes
    rules: Rules
    calendar: Calendar
    conversions: Conversions
    send: Send
