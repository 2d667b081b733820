"""A report: the funnel of a period from the login's counts, with Tencent Cloud's figures beside it."""

from collections import Counter
from collections.abc import Mapping, Sequence

from msgspec import Struct, field

from sms_admin.statistics.figures import Figures, Packages
from sms_admin.statistics.spans import HOUR, Span
from sms_login.statistics import SECONDS

COUNTED = ("asked", "sent", "delivered", "verified")  # the funnel


class Row(Struct, rename="camel", omit_defaults=True):
    """The counts of one period, of one country, or of all.

    `conversion` is the share of sent messages whose code was right, `fee_per_login` the messages charged for each right
    code, `half_within` and `most_within` the seconds in which half and 95 % of the right codes came: None without any.
    """

    period: str
    asked: int = 0
    refused: int = 0
    captchas: int = 0
    sent: int = 0
    voice: int = 0
    fee: int = 0
    delivered: int = 0
    undelivered: int = 0
    verified: int = 0
    signed_up: int = 0
    wrong: int = 0
    conversion: float | None = None
    fee_per_login: float | None = None
    half_within: int | None = None
    most_within: int | None = None
    refused_by: dict[str, int] = field(default_factory=dict)
    failed_by: dict[str, int] = field(default_factory=dict)
    verified_by: dict[str, int] = field(default_factory=dict)
    seconds: dict[str, int] = field(default_factory=dict)
    tencent: Figures | None = None


class Report(Struct, rename="camel"):
    """The rows of all periods, those of all countries, their total, and the packages (None: not known)."""

    periods: Sequence[Row]
    countries: Sequence[Row]
    total: Row
    packages: Packages | None
    days_left: float | None
    cost_per_login: float | None


def report(
    ours: Mapping[Span, Mapping[str, Counter[str]]],
    theirs: Mapping[Span, Figures] | None,
    packages: Packages | None,
    price: float | None,
    now: float,
) -> Report:
    """Return the report of counts by span and country. `price` is that of one message, `now` the epoch second."""
    periods, countries, whole = list[Row](), dict[str, Counter[str]](), Counter[str]()
    for span, found in ours.items():
        counts = Counter[str]()
        for country, of_country in found.items():
            counts.update(of_country)
            countries.setdefault(country, Counter()).update(of_country)
        whole.update(counts)
        periods.append(_row(span.name, counts, theirs.get(span) if theirs else None))
    total = _row("", whole, _sum([*theirs.values()]) if theirs else None)
    by_country = sorted((_row(name, counts) for name, counts in countries.items()), key=lambda row: -row.asked)
    hours = sum(max(0.0, min(span.end, now / HOUR) - span.begin) for span in ours)
    fee = max(total.fee, total.tencent.fee if total.tencent else 0)
    days_left = packages.left / (fee * 24 / hours) if packages and fee else None
    cost = total.fee_per_login * price if price is not None and total.fee_per_login is not None else None
    return Report(periods, by_country, total, packages, days_left, cost)


def _row(period: str, counts: Counter[str], theirs: Figures | None = None) -> Row:
    # A count may be negative for a moment: a correction was written, and the count that it corrects was lost.
    counts = Counter({name: count for name, count in counts.items() if count > 0})
    by = {kind: _group(counts, kind) for kind in ("refused", "failed", "verified", "seconds")}
    verified, sent, fee = by["verified"].total(), counts["sent"], counts["fee"]
    return Row(
        period,
        asked=counts["asked"],
        refused=by["refused"].total(),
        captchas=counts["captcha"],
        sent=sent,
        voice=counts["voice"],
        fee=fee,
        delivered=counts["delivered"],
        undelivered=by["failed"].total(),
        verified=verified,
        signed_up=counts["signed_up"],
        wrong=counts["wrong"],
        conversion=verified / sent if sent else None,
        fee_per_login=fee / verified if verified and fee else None,
        half_within=_within(by["seconds"], 0.5),
        most_within=_within(by["seconds"], 0.95),
        refused_by=dict(by["refused"].most_common()),
        failed_by=dict(by["failed"].most_common()),
        verified_by=dict(by["verified"].most_common()),
        seconds={str(most): by["seconds"][str(most)] for most in SECONDS if by["seconds"]},
        tencent=theirs,
    )


def _group(counts: Counter[str], kind: str) -> Counter[str]:
    return Counter({name.removeprefix(f"{kind}:"): n for name, n in counts.items() if name.startswith(f"{kind}:")})


def _within(seconds: Counter[str], share: float) -> int | None:
    """Return the seconds within which this share of the codes came, as far as the counts tell."""
    reached = 0
    for most in SECONDS:
        reached += seconds[str(most)]
        if reached and reached >= share * seconds.total():
            return most
    return None


def _sum(figures: Sequence[Figures]) -> Figures:
    failed_by = Counter[str]()
    for each in figures:
        failed_by.update(each.failed_by)
    return Figures(
        requested=sum(each.requested for each in figures),
        accepted=sum(each.accepted for each in figures),
        fee=sum(each.fee for each in figures),
        delivered=sum(each.delivered for each in figures),
        failed=sum(each.failed for each in figures),
        failed_by=dict(failed_by.most_common()),
    )
