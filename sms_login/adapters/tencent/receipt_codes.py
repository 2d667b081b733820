"""The carriers' codes in delivery receipts, by the reason that they mean (Tencent Cloud documents 382/59177, 382/3771).

Many codes mean "no such number, suspended or off" together. Those are `unreachable`: a person with a phone in hand must
not be told that its number does not exist. CALL-8 is the failure code 8 of a voice call, CALL-R1 its
result 1: not answered.
"""

import re

from sms_login.otp.delivery import Reason

_CODES: dict[Reason, str] = {
    "noSuchNumber": "MK:0000 MK:0001 MK:0012 MK:0013 XL:169 MI:0010 ERR_NUM 1 24 61 67 72 95 101 CALL-8 CALL-15 CALL-17"
    " CALL-24 CALL-30 CALL-31",
    "blocked": "MX:0011 MX:0012 BWLIST TUIDING HIGRISK MB:1077 DB:0141 DB:0144 DB:0164 W-BLACK MOBILE-BLACK 69",
    "limited": "MX:0003 MB:1042 BEYONDN LIMIT MI:0061 MI:0062 MI:0079 CALL-12 CALL-19",
    "rejected": "REJECTD MN:0017 MK:0115 KEYWORD -106",
    "unreachable": (
        "EXPIRED UNDELIV MC:0055 MC:0151 MB:1031 IA:0054 DA:0054 IB:0064 002 4 5 10 12 15 20 27 36 43 44 45 50 51 52 53"
        " 54 55 56 64 70 79 86 88 89 93 98 99 105 118 124 182 213 219"
        " CALL-R1 CALL-1 CALL-2 CALL-3 CALL-4 CALL-5 CALL-6 CALL-7 CALL-10 CALL-13 CALL-16 CALL-20"
        " CALL-26 CALL-27 CALL-28 CALL-29"
    ),
}
_REASONS: dict[str, Reason] = {code: reason for reason, codes in _CODES.items() for code in codes.split()}
_OF_A_PHONE = "M[NIK]:[0-9]{4}"  # of China Mobile: mostly off, suspended, or without signal


def reason_of(code: str) -> Reason:
    """Return the reason that a code means, in any of its spellings: "REJECTD_006" is REJECTD, "MK00001" is MK:0001."""
    code = re.sub("_[0-9]+$", "", code.strip().upper().replace(" ", "-"))
    code = re.sub("^([A-Z]{2})0([0-9]{4})$", r"\1:\2", code)
    return _REASONS.get(code) or ("unreachable" if re.fullmatch(_OF_A_PHONE, code) else "carrier")
