"""The findings of the checks of a deployment."""

from collections.abc import Iterable

from sms_admin.check.report import Finding, State

SLOW = {"redis.latency"}  # here Redis may be slow, since other tests run beside this one


def states(findings: Iterable[Finding]) -> dict[str, State]:
    """Return the worst state of each check."""
    order, worst = [State.OK, State.WARNING, State.PROBLEM], dict[str, State]()
    for finding in findings:
        worst[finding.check] = max(worst.get(finding.check, State.OK), finding.state, key=order.index)
    return worst


def bad(findings: Iterable[Finding]) -> dict[str, State]:
    """Return the checks that are not ok."""
    return {check: state for check, state in states(findings).items() if state is not State.OK and check not in SLOW}


def the(findings: list[Finding], name: str) -> Finding:
    """Return the only finding of a check."""
    (finding,) = [finding for finding in findings if finding.check == name]
    return finding
