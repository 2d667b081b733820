"""Whose request it is: every spelling of an address, and who may say it."""

import pytest

from sms_login.http.client_ip import client_of
from sms_login.limits.client import UNKNOWN, Client

V4, V6 = "203.0.113.7", "2001:db8:1:2:3:4:5:6"
NET = "2001:db8:1:2::/64"
NO_CLIENT = Client("", UNKNOWN)


def platform(spelling: str, header: str | None = None) -> Client:
    """Return the client where the platform is believed, and has said `spelling`."""
    return client_of("platform", spelling, {} if header is None else {"x-scf-remote-addr": header})


def forwarded(hops: str | None, nth: int = 1) -> Client:
    """Return the client where the N-th hop from the right is believed."""
    return client_of(f"forwarded:{nth}", V4, {} if hops is None else {"x-forwarded-for": hops})


SPELLINGS = {
    "203.0.113.7": V4,
    " 203.0.113.7\t": V4,
    "203.0.113.7:443": V4,
    "203.0.113.7:": V4,
    "::ffff:203.0.113.7": V4,
    "::FFFF:cb00:7107": V4,
    "[::ffff:203.0.113.7]:443": V4,
    "2001:db8:1:2:3:4:5:6": V6,
    "2001:0DB8:0001:0002:0003:0004:0005:0006": V6,
    "[2001:db8:1:2:3:4:5:6]": V6,
    "[2001:db8:1:2:3:4:5:6]:443": V6,
    "[2001:db8:1:2:3:4:5:6%eth0]:443": V6,
    "2001:db8:1:2:3:4:5:6%25eth0": V6,
    "2001:db8::": "2001:db8::",
    "2001:db8:0:0:0:0:0:0": "2001:db8::",
    "fe80::1%eth0": "fe80::1",
    "::1": "::1",
    "0.0.0.0": "0.0.0.0",  # noqa: S104 - an address like any other
}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_every_spelling_of_an_address_is_the_same_client(spelling: str) -> None:
    """Without port, brackets and zone, an IPv4 address in IPv6 as itself; whichever way it came."""
    ip = SPELLINGS[spelling]
    assert platform(spelling).ip == platform("", spelling).ip == forwarded(spelling).ip == ip
    assert platform(spelling) == platform("", spelling) == forwarded(spelling)


GARBAGE = [
    *("", " ", "unknown", "localhost", "-", "null", "_hidden", "example.com:443"),
    *("203.0.113", "203.0.113.7.1", "203.0.113.256", "203.0.113.-7", "203.0.113.7/24", "3405803783", "0xcb007107"),
    *("203.0.113.007", "010.0.0.1", "203.0.113.٧", "２０３.0.113.7", "203.0.113.7\u200b", "203。0。113。7"),
    *("203.0.113.7, 203.0.113.8", "203.0.113.7 203.0.113.8", "203.0.113.7;", "for=203.0.113.7", '"203.0.113.7"'),
    *("2001:db8:1:2:3:4:5", "2001:db8::1::2", "2001:db8:1:2:3:4:5:6:7", "2001:db8::g", "2001:db8::12345", "::/0", ":"),
    *("[]", "[", "]", "[]:443", "[2001:db8::1, 2001:db8::2]", "[unknown]:443", "%eth0", "::ffff:203.0.113.256"),
    *("\x00", "203.0.113.7\n203.0.113.8", "\ud800", "9" * 5000, ":" * 5000, "[" * 5000),
]


@pytest.mark.parametrize("garbage", GARBAGE, ids=lambda garbage: ascii(garbage)[:30])
def test_what_is_no_address_is_unknown(garbage: str) -> None:
    """One spelling that a strict reader does not take is nobody's own bucket, and nothing crashes."""
    assert platform(garbage) == platform("", garbage) == NO_CLIENT
    assert client_of("forwarded:1", V4, {"x-forwarded-for": garbage.replace(",", " ")}) == NO_CLIENT
    assert client_of("none", garbage, {}) == Client("", None)


def test_an_ipv4_address_is_counted_as_itself() -> None:
    """Two of them are two clients."""
    assert platform(V4) == Client(V4, V4)
    assert platform("::ffff:203.0.113.8") == Client("203.0.113.8", "203.0.113.8")


def test_an_ipv6_address_is_counted_as_its_64() -> None:
    """That is what a provider gives one customer; the captcha is told the address itself."""
    assert platform(V6) == Client(V6, NET)
    assert platform("2001:db8:1:2::") == Client("2001:db8:1:2::", NET)
    assert platform("2001:db8:1:2:ffff:ffff:ffff:ffff").counted_as == NET
    assert platform("2001:db8:1:3::").counted_as == "2001:db8:1:3::/64"
    assert platform("::1").counted_as == "::/64"


def test_the_platforms_field_beats_its_header() -> None:
    """The header counts where the field is missing, and not where the field says something else than an address."""
    assert platform(V4, "203.0.113.8").ip == V4
    assert platform("", "203.0.113.8").ip == "203.0.113.8"
    assert platform("?", "203.0.113.8") == platform("10.0.0.1, 192.0.2.1", "203.0.113.8") == NO_CLIENT
    assert platform("", None) == platform("?", "?") == NO_CLIENT


def test_what_anybody_can_write_is_not_believed() -> None:
    """X-Forwarded-For and its relatives do not matter where the platform is asked, nor the platform behind a proxy."""
    names = ("x-forwarded-for", "x-real-ip", "forwarded", "true-client-ip", "cf-connecting-ip", "x-client-ip")
    assert client_of("platform", "", dict.fromkeys(names, V4)) == NO_CLIENT
    assert client_of("platform", V4, dict.fromkeys(names, "203.0.113.8")).ip == V4
    others = dict.fromkeys(("x-scf-remote-addr", *names[1:]), V4)
    assert client_of("forwarded:1", V4, others) == NO_CLIENT


@pytest.mark.parametrize(
    ("nth", "ip"), [(1, "203.0.113.3"), (2, "203.0.113.2"), (3, "203.0.113.1"), (4, ""), (5, ""), (9, "")]
)
@pytest.mark.parametrize("hops", ["203.0.113.1, 203.0.113.2, 203.0.113.3", "203.0.113.1,203.0.113.2 ,\t203.0.113.3 "])
def test_the_nth_hop_from_the_right_is_believed(hops: str, nth: int, ip: str) -> None:
    """Too few hops are unknown: somebody came past the proxies."""
    assert forwarded(hops, nth).ip == ip
    assert (forwarded(hops, nth) == NO_CLIENT) == (not ip)


def test_what_stands_left_of_our_proxies_does_not_matter() -> None:
    """Whatever a client writes there, it moves nothing."""
    for forged in ("", "198.51.100.1, ", "198.51.100.1, , ,", ",,,", "rubbish, ", "[, ", '"a, b", '):
        assert forwarded(f"{forged}203.0.113.7, 10.0.0.1", 2).ip == V4


@pytest.mark.parametrize("hops", ["203.0.113.1,,203.0.113.3", "203.0.113.1, ,203.0.113.3", "203.0.113.1,?,203.0.113.3"])
def test_a_hop_that_is_no_address_is_unknown(hops: str) -> None:
    """It does not make way for its neighbour, which may be forged; those around it stay in their places."""
    assert [forwarded(hops, nth).ip for nth in (1, 2, 3)] == ["203.0.113.3", "", "203.0.113.1"]


@pytest.mark.parametrize("hops", [None, "", ",", "unknown"])
def test_without_hops_the_client_is_unknown(hops: str | None) -> None:
    """A request that did not come through the proxy is counted with all whose address nobody knows."""
    assert forwarded(hops, 1) == forwarded(hops, 2) == NO_CLIENT


def test_hops_have_ports_brackets_and_both_families() -> None:
    """As proxies write them."""
    hops = "[2001:db8:1:2:3:4:5:6]:1234, 203.0.113.7:80"
    assert [forwarded(hops, nth) for nth in (1, 2)] == [Client(V4, V4), Client(V6, NET)]


def test_with_no_source_nobody_is_counted() -> None:
    """The captcha is still told what the platform says."""
    headers = {"x-forwarded-for": "203.0.113.8", "x-scf-remote-addr": "203.0.113.9"}
    assert client_of("none", V4, headers) == Client(V4, None)
    assert client_of("none", "", headers) == Client("", None)
