"""Counts of what became of messages and codes, by hour and country, for `sms_admin stats`.

They wait in the instance until a batch goes to Redis anyway, and travel with it: no request waits for them. An instance
that ends takes its last ones along, so a sum may be too low, never too high.

    asked, refused:<codeStr>, repeated     getSms; the answers that refuse, and those to a repeat
    captcha                                captchas passed
    sent, fee                              messages that SendSms accepted; messages charged
    voice                                  calls that were accepted
    delivered, failed:<reason>             messages and calls, by their receipt
    verified:<purpose>, seconds:<most>     right codes, by use and by the seconds since their sending
    wrong, signed_up                       wrong codes; users who are new
"""

import threading
import time
from collections.abc import Mapping
from typing import Any

from sms_login.forks import in_child

OTHER = "ZZ"  # all countries that are not allowed, and numbers without one: ISO 3166 assigns it to no country
SECONDS = (5, 10, 20, 30, 60, 120, 300, 600)  # since the sending; a code works for 600 at most


class Statistics:
    """The counts of this instance that wait. Thread-safe.

    `countries` are the allowed ones, None for all. Without `on`, nothing is counted.
    """

    def __init__(self, countries: frozenset[str] | None, *, on: bool) -> None:
        self._countries, self._on = countries, on
        self._lock = threading.Lock()
        self.waiting: dict[str, dict[str, int]] = {}  # by hour, in hours since 1970
        in_child(self, lambda own: own.waiting.clear())

    def count(self, country: str, counts: Mapping[str, int], *, times: int = 1) -> None:
        """Add counts to those of a country in the present hour; -1 times takes them back."""
        if not (self._on and counts):
            return
        known = country if self._countries is None or country in self._countries else ""
        self._add(str(int(time.time()) // 3600), {f"{known or OTHER}:{name}": n * times for name, n in counts.items()})

    def count_request(self, facts: Mapping[str, Any]) -> None:
        """Count a request by the facts of its log line."""
        self.count(facts.get("country", ""), _counts(facts))

    def count_receipt(self, country: str, reason: str | None) -> None:
        """Count a delivery, or a failure with its reason."""
        self.count(country, {f"failed:{reason}" if reason else "delivered": 1})

    def take(self) -> Mapping[str, Mapping[str, int]]:
        """Return the waiting counts by hour, which then wait no more."""
        with self._lock:
            taken, self.waiting = self.waiting, {}
        return taken

    def lost(self, hour: str, counts: Mapping[str, int]) -> None:
        """Keep the negative ones of lost counts. The others may have been written, and must not be written twice."""
        self._add(hour, {name: count for name, count in counts.items() if count < 0})

    def _add(self, hour: str, counts: Mapping[str, int]) -> None:
        with self._lock:
            waiting = self.waiting.setdefault(hour, {})
            for name, count in counts.items():
                waiting[name] = waiting.get(name, 0) + count


def seconds(ms: int) -> str:
    """Return the name of the count for a code that was verified so many milliseconds after its sending."""
    return f"seconds:{next((most for most in SECONDS if ms <= most * 1000), SECONDS[-1])}"


def _counts(facts: Mapping[str, Any]) -> dict[str, int]:
    method, outcome, counts = facts.get("method"), facts.get("outcome"), dict[str, int]()
    if facts.get("test_number"):
        return counts
    if method == "getSms":
        counts["asked"] = 1
        if outcome != "Ok":
            counts[f"refused:{outcome}"] = 1
        elif facts.get("channel") == "voice":
            counts["voice"] = 1
        elif "fee" in facts:
            counts |= {"sent": 1, "fee": facts["fee"]}
        else:
            counts["repeated"] = 1
        if facts.get("captcha") == "passed":
            counts["captcha"] = 1
    elif outcome == "CodeIsError":
        counts["wrong"] = 1
    elif facts.get("new_user") and not facts.get("repeated"):
        counts["signed_up"] = 1
    return counts
