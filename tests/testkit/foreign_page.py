"""A web page that makes its visitors ask for codes, in every way that a page has, and the function that it attacks."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from urllib.parse import quote

from playwright.sync_api import Browser

from sms_login.http.server import Server
from sms_login.http.wsgi import Application, Handle
from tests.testkit.servers import until

# The frames in which a page attacks: a context, and a referrer policy. Every other policy sends the Referer of one of
# these.
FRAMES = tuple(f"page/{policy}" for policy in ("", "no-referrer", "origin", "unsafe-url")) + tuple(
    f"{context}/{policy}" for context in ("sandbox", "data", "blob", "base") for policy in ("", "unsafe-url")
)
WAYS = (
    *("cors GET", "cors POST", "no-cors GET", "no-cors POST", "json POST", "forged GET", "forged POST", "xhr POST"),
    *("beacon POST", "img", "script", "style", "video", "iframe", "object", "form GET", "form POST"),
)
LIMITS = ("IP_HOURLY_LIMIT", "IP_DAILY_LIMIT", "RANGE_HOURLY_LIMIT", "RANGE_DAILY_LIMIT", "RANGE_DAILY_BUDGET")
# Of the function: so that nothing but the origin stops an attempt.
SETTINGS = {**dict.fromkeys(LIMITS, "100000"), "CAPTCHA_MODE": "off"}
_DEADLINE = 60  # s; far more than an attack needs
# The path holds an origin that is always allowed, which a Referer of policy unsafe-url repeats.
_PATH = "/page/https://servicewechat.com/"
_HTML = """<!doctype html><meta charset="utf-8"><link rel="icon" href="data:,"><body><script>
const MINI_PROGRAM = "https://servicewechat.com/wx0123456789abcdef/18/page-frame.html";

function attack({ target, label, first }) {
  const params = (way) => ({ method: "getSms", phone: String(first++), attempt: `${label} ${way}` });
  const url = (way) => `${target}/?${new URLSearchParams(params(way))}`;
  const add = (tag, more) => document.body.append(Object.assign(document.createElement(tag), more));
  const send = (way, options) => fetch(url(way), options).catch(() => {});
  const forged = { Origin: target, Referer: MINI_PROGRAM, "Sec-Fetch-Site": "same-origin", Host: "servicewechat.com" };
  for (const method of ["GET", "POST"]) {
    for (const mode of ["cors", "no-cors"]) send(`${mode} ${method}`, { method, mode });
    send(`forged ${method}`, { method, mode: "no-cors", headers: forged, referrer: MINI_PROGRAM });
    const form = Object.assign(document.createElement("form"), { action: url(`form ${method}`), method });
    for (const [name, value] of new URL(form.action).searchParams)
      form.append(Object.assign(document.createElement("input"), { name, value }));
    form.setAttribute("target", `frame ${method}`);
    add("iframe", { name: `frame ${method}` });
    document.body.append(form);
    HTMLFormElement.prototype.submit.call(form);
  }
  send("json POST", { method: "POST", headers: { "Content-Type": "application/json" }, body: "{}" });
  const request = new XMLHttpRequest();
  request.open("POST", url("xhr POST"));
  request.send();
  navigator.sendBeacon(url("beacon POST"));
  add("img", { src: url("img") });
  add("script", { src: url("script") });
  add("link", { rel: "stylesheet", href: url("style") });
  add("video", { src: url("video"), preload: "auto" });
  add("iframe", { src: url("iframe") });
  add("object", { data: url("object") });
}

const frames = {
  page: (frame, html, plan) => (frame.src = "#" + encodeURIComponent(JSON.stringify(plan))),
  sandbox: (frame, html) => Object.assign(frame, { sandbox: "allow-scripts allow-forms", srcdoc: html }),
  data: (frame, html) => (frame.src = "data:text/html," + encodeURIComponent(html)),
  blob: (frame, html) => (frame.src = URL.createObjectURL(new Blob([html], { type: "text/html" }))),
  base: (frame, html) => (frame.srcdoc = `<base href="${MINI_PROGRAM}">${html}`),
};

const plan = JSON.parse(decodeURIComponent(location.hash.slice(1)));
if (plan.label) {
  document.head.append(Object.assign(document.createElement("meta"), { name: "referrer", content: plan.policy }));
  attack(plan);
} else {
  for (const label of plan.frames) {
    const [context, policy] = label.split("/");
    const one = { target: plan.target, policy, label, first: (plan.first += 100) };
    const script = `const MINI_PROGRAM = "${MINI_PROGRAM}"; (${attack})(${JSON.stringify(one)});`;
    const html = `<meta name="referrer" content="${policy}"><body><script>${script}</` + "script>";
    const frame = document.createElement("iframe");
    frames[context](frame, html, one);
    document.body.append(frame);
  }
}
</script>"""


class Seen(NamedTuple):
    """One request of an attempt, as the function saw it, and its outcome."""

    verb: str
    headers: dict[str, str]
    outcome: str


@dataclass
class Site:
    """A web site on `port` of this machine that has the foreign page, and the function of `handle` beside it."""

    handle: Handle
    port: int = 0
    seen: dict[str, list[Seen]] = field(default_factory=dict)  # requests by attempt, such as "data/origin img"

    def answer(self, event: dict[str, Any], context: Any) -> dict[str, Any]:
        """Answer a request for the page, else hand it to the function."""
        if event["path"].startswith("/page/"):
            return {"statusCode": 200, "headers": {"Content-Type": "text/html"}, "body": _HTML}
        answer = self.handle(event, context)
        outcome = json.loads(answer["body"])["codeStr"] if answer["body"] else "Preflight"
        attempt = event["queryString"].get("attempt")
        if attempt:  # and not the browser's own wish for an icon
            self.seen.setdefault(attempt, []).append(Seen(event["httpMethod"], event["headers"], outcome))
        return answer


@contextmanager
def serving(handle: Handle) -> Iterator[Site]:
    """Serve a site for the duration of the block."""
    site = Site(handle)
    server = Server(Application(site.answer), "127.0.0.1", 0)
    site.port = server.port
    thread = threading.Thread(target=server.serve)
    thread.start()
    try:
        yield site
    finally:
        server.stop()
        thread.join()


def attack(browser: Browser, ours: Site, page: str, target: str, expected: set[str]) -> dict[str, list[Seen]]:
    """Open a page that attacks, wait until each attempt has reached `ours`, follow a link; return all requests."""
    ours.seen.clear()
    window = browser.new_page()
    try:
        window.goto(page, wait_until="commit")  # its frames are loaded once all attempts have arrived
        until(lambda: expected <= ours.seen.keys(), _DEADLINE)
        window.evaluate("url => { location = url }", f"{target}/?method=getSms&phone=13700137000&attempt=link")
        until(lambda: "link" in ours.seen, _DEADLINE)
    finally:
        window.close()
    return dict(ours.seen)


def page_of(site: str, target: str, frames: tuple[str, ...], first: int) -> str:
    """Return the address of the page of `site` at which a browser attacks `target` in these frames.

    `first` begins numbers that no other attack uses.
    """
    plan = {"target": target, "frames": frames, "first": first}
    return f"{site}{_PATH}#{quote(json.dumps(plan))}"


def attempts(frames: tuple[str, ...]) -> set[str]:
    """Return the names of all attempts of an attack."""
    return {f"{frame} {way}" for frame in frames for way in WAYS}
