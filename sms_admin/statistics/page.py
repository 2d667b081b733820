"""The report as one page."""

from collections.abc import Sequence

from sms_admin.statistics.report import Report


def page(found: Report, names: Sequence[str], by: str, now: float) -> str:
    """Return HTML."""
    return f"{found}{names}{by}{now}"
