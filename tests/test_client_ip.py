"""The client of a request: every spelling of an IP address, and the sources that may name it."""

import tracemalloc

from sms_login.http.client_ip import client_of
from sms_login.limits.client import UNKNOWN, Client
from tests.testkit.cases import each_case

V4, V6 = "203.0.113.7", "2001:db8:1:2:3:4:5:6"
NET = "2001:db8:1:2::/64"
NO_CLIENT = Client("", UNKNOWN)


def platform(spelling: str, header: str | None = None) -> Client:
    """Return the client if the platform is trusted and names `spelling`."""
    return client_of("platform", spelling, {} if header is None else {"x-scf-remote-addr": header})


def forwarded(hops: str | None, nth: int = 1) -> Client:
    """Return the client if the N-th hop from the right is trusted."""
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


@each_case("spelling", SPELLINGS)
def test_every_spelling_of_an_address_is_the_same_client(spelling: str) -> None:
    """An address loses port, brackets and zone, and IPv4 in IPv6 becomes IPv4, from every source."""
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


def test_text_that_is_not_an_address_is_an_unknown_client() -> None:
    """Text that a strict parser rejects gives the unknown client, and never a crash."""
    for garbage in GARBAGE:
        assert platform(garbage) == platform("", garbage) == NO_CLIENT, ascii(garbage)[:30]
        assert client_of("forwarded:1", V4, {"x-forwarded-for": garbage.replace(",", " ")}) == NO_CLIENT, ascii(garbage)
        assert client_of("none", garbage, {}) == Client("", None)


def test_an_ipv4_address_is_counted_as_itself() -> None:
    """Two IPv4 addresses are two clients."""
    assert platform(V4) == Client(V4, V4)
    assert platform("::ffff:203.0.113.8") == Client("203.0.113.8", "203.0.113.8")


def test_an_ipv6_address_is_counted_as_its_64_network() -> None:
    """A provider gives one customer a /64, so limits count the /64; the captcha gets the full address."""
    assert platform(V6) == Client(V6, NET)
    assert platform("2001:db8:1:2::") == Client("2001:db8:1:2::", NET)
    assert platform("2001:db8:1:2:ffff:ffff:ffff:ffff").counted_as == NET
    assert platform("2001:db8:1:3::").counted_as == "2001:db8:1:3::/64"
    assert platform("::1").counted_as == "::/64"


def test_the_platforms_field_beats_its_header() -> None:
    """The platform's header is read if its field is empty, but not if the field holds no valid address."""
    assert platform(V4, "203.0.113.8").ip == V4
    assert platform("", "203.0.113.8").ip == "203.0.113.8"
    assert platform("?", "203.0.113.8") == platform("10.0.0.1, 192.0.2.1", "203.0.113.8") == NO_CLIENT
    assert platform("", None) == platform("?", "?") == NO_CLIENT


def test_headers_that_a_client_can_write_are_ignored() -> None:
    """X-Forwarded-For and its relatives are ignored for `platform`, and the platform's header for `forwarded`."""
    names = ("x-forwarded-for", "x-real-ip", "forwarded", "true-client-ip", "cf-connecting-ip", "x-client-ip")
    assert client_of("platform", "", dict.fromkeys(names, V4)) == NO_CLIENT
    assert client_of("platform", V4, dict.fromkeys(names, "203.0.113.8")).ip == V4
    others = dict.fromkeys(("x-scf-remote-addr", *names[1:]), V4)
    assert client_of("forwarded:1", V4, others) == NO_CLIENT


@each_case(("nth", "ip"), [(1, "203.0.113.3"), (2, "203.0.113.2"), (3, "203.0.113.1"), (4, ""), (5, ""), (9, "")])
@each_case("hops", ["203.0.113.1, 203.0.113.2, 203.0.113.3", "203.0.113.1,203.0.113.2 ,\t203.0.113.3 "])
def test_the_nth_hop_from_the_right_is_the_client(hops: str, nth: int, ip: str) -> None:
    """If there are too few hops, the request bypassed the proxies, and its client is unknown."""
    assert forwarded(hops, nth).ip == ip
    assert (forwarded(hops, nth) == NO_CLIENT) == (not ip)


def test_hops_left_of_our_proxies_are_ignored() -> None:
    """Text that a client puts before our proxies' hops does not change its address."""
    for forged in ("", "198.51.100.1, ", "198.51.100.1, , ,", ",,,", "rubbish, ", "[, ", '"a, b", '):
        assert forwarded(f"{forged}203.0.113.7, 10.0.0.1", 2).ip == V4


@each_case("hops", ["203.0.113.1,,203.0.113.3", "203.0.113.1, ,203.0.113.3", "203.0.113.1,?,203.0.113.3"])
def test_a_hop_that_is_not_an_address_is_an_unknown_client(hops: str) -> None:
    """An invalid hop keeps its place: its neighbour, which may be forged, does not move into it."""
    assert [forwarded(hops, nth).ip for nth in (1, 2, 3)] == ["203.0.113.3", "", "203.0.113.1"]


@each_case("hops", [None, "", ",", "unknown"])
def test_without_hops_the_client_is_unknown(hops: str | None) -> None:
    """A request that did not pass the proxy is counted with all other unknown clients."""
    assert forwarded(hops, 1) == forwarded(hops, 2) == NO_CLIENT


def test_hops_may_have_ports_brackets_and_either_family() -> None:
    """Hops are read in every form that proxies write."""
    hops = "[2001:db8:1:2:3:4:5:6]:1234, 203.0.113.7:80"
    assert [forwarded(hops, nth) for nth in (1, 2)] == [Client(V4, V4), Client(V6, NET)]


def test_without_a_source_clients_are_not_counted() -> None:
    """With CLIENT_IP_SOURCE=none no limit counts the client, but the captcha still gets the platform's address."""
    headers = {"x-forwarded-for": "203.0.113.8", "x-scf-remote-addr": "203.0.113.9"}
    assert client_of("none", V4, headers) == Client(V4, None)
    assert client_of("none", "", headers) == Client("", None)


def test_long_texts_in_place_of_addresses_fill_no_memory() -> None:
    """Addresses are remembered, but not whatever text a client sends."""
    tracemalloc.start()
    try:
        for i in range(50):
            client_of("forwarded:1", "", {"x-forwarded-for": f"{i:09}" * 10_000})
            client_of("platform", "", {"x-scf-remote-addr": f"{i:09}" * 10_000})
        assert tracemalloc.get_traced_memory()[0] < 1_000_000
    finally:
        tracemalloc.stop()
