"""A real browser for the tests of the page, and the person in front of it."""

import itertools
import re
import shutil
from dataclasses import dataclass, field
from pathlib import Path

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, ConsoleMessage, Locator, Page, Playwright, Request, expect

from local.tencent import TencentStandIn
from sms_login.otp.rules import Rules
from tests.testkit.backends import Backend

SCREENSHOTS = Path(__file__).parents[2] / "test-screenshots"  # of tests that failed
RULES = Rules(cooldown=30)  # of the function behind the page, which shows less than a minute in seconds
ARGUMENTS = """
    --no-sandbox --headless --disable-gpu --disable-quic --no-first-run --disable-background-networking
    --disable-component-update --disable-sync
"""
# A browser reports each refusal of the function as an error of the network.
_REFUSAL = re.compile(r"Failed to load resource: the server responded with a status of [45][0-9]{2} ")
_NUMBERS = itertools.count(13_800_138_100)
_DEADLINE = 20_000  # ms; far more than a page needs, since other tests take turns with it
expect.set_options(timeout=_DEADLINE)


def find_chromium() -> str | None:
    """Return the path of Chromium or Chrome, preferably the headless shell, which needs half the resources."""
    names = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    return next((path for name in names if (path := shutil.which(name))), None)


def launch(playwright: Playwright) -> Browser:
    """Start the browser."""
    return playwright.chromium.launch(executable_path=find_chromium(), args=ARGUMENTS.split())


def new_number() -> str:
    """Return a number that no test has used yet, without its calling code."""
    return str(next(_NUMBERS))


@dataclass
class Person:
    """A person in front of one browser window, with a number of their own; `url` is the page's."""

    page: Page
    url: str
    tencent: TencentStandIn
    backend: Backend
    number: str = field(default_factory=new_number)
    problems: list[str] = field(default_factory=list)  # of the window: errors, and requests that left the machine
    lost: bool = False  # the test may break the network on purpose

    def __post_init__(self) -> None:
        self.page.set_default_timeout(_DEADLINE)
        self.page.on("console", self._console)
        self.page.on("pageerror", lambda error: self.problems.append(str(error)))
        self.page.on("request", self._request)

    def _console(self, message: ConsoleMessage) -> None:
        expected = _REFUSAL.match(message.text) or (self.lost and "net::ERR_" in message.text)
        if message.type in {"error", "warning"} and not expected:
            self.problems.append(message.text)

    def _request(self, request: Request) -> None:
        if not request.url.startswith(self.url):
            self.problems.append(f"a request to {request.url}")

    def open(self) -> None:
        """Open the page."""
        self.page.goto(self.url)
        expect(self.screen("waiting")).to_be_hidden()

    def screen(self, name: str) -> Locator:
        """Return a screen of the phone."""
        return self.page.locator(f"#{name}")

    def press(self, name: str) -> None:
        """Press the button of this name on the phone."""
        self.button(name).click()

    def button(self, name: str | re.Pattern[str]) -> Locator:
        """Return the button of this name on the phone."""
        return self.page.locator(".phone").get_by_role("button", name=name, exact=True)

    def ask_for_code(self) -> None:
        """Type the number and get a code."""
        self.try_for_code()
        expect(self.screen("code")).to_be_visible()

    def try_for_code(self) -> None:
        """Type the number and press the button, without waiting for a result."""
        self.page.get_by_label("Mobile number").fill(self.number)
        self.press("Get a code")

    def type_code(self, code: str) -> None:
        """Type six digits."""
        self.page.get_by_label("Six-digit code").fill(code)

    def spend_guesses(self, wrong: str) -> None:
        """Type a wrong code until no attempt is left; the phone shows the number of attempts left each time."""
        for left in reversed(range(1, RULES.guesses)):
            self.type_code(wrong)
            self.says(f"That is not the code. Attempts left: {left}.")
        self.type_code(wrong)
        self.says("no attempts are left")

    @property
    def codes(self) -> list[str]:
        """The codes that were sent to the number, newest first."""
        return [message.params[0] for message in self.tencent.inbox(f"+86{self.number}")]

    @property
    def wrong(self) -> str:
        """Six digits that are not the latest code."""
        return f"{(int(self.codes[0]) + 1) % 1_000_000:06}"

    def sign_in(self) -> None:
        """Ask for a code, type it and wait for the home screen."""
        self.ask_for_code()
        self.type_code(self.codes[0])
        expect(self.screen("home")).to_be_visible()

    def says(self, words: str | re.Pattern[str]) -> None:
        """Wait until the phone shows these words in a note or an error."""
        place = self.page.locator("#screens .note:visible, #screens .error:visible, #captcha .error:visible")
        expect(place.filter(has_text=words)).to_be_visible()

    def wait(self, seconds: int) -> None:
        """Let time pass, in the window and in Redis; the window's clock must have been installed."""
        self.backend.age(seconds)
        self.page.clock.fast_forward(seconds * 1000)

    def cool_down(self) -> None:
        """Wait until a number that has just had a code may have another; see `wait`."""
        self.wait(RULES.cooldown + 1)

    def settle(self) -> None:
        """Finish all animations that have an end."""
        self.page.evaluate("""
            for (const animation of document.getAnimations())
                if (animation.effect.getComputedTiming().endTime < Infinity) animation.finish();
        """)

    def violations(self, *rules: str, within: str = "html") -> str:
        """Return a report of axe-core's findings `within` an element, by `rules` if there are any."""
        self.settle()
        options = {"resultTypes": ["violations"], **({"runOnly": rules} if rules else {})}
        results = Axe().run(self.page, within, options)
        return results.generate_report() if results.violations_count else ""

    def overflows(self) -> bool:
        """Return whether the window has to be scrolled sideways."""
        return bool(self.page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth"))


def counting(most: int) -> str:
    """Return a regular expression for the seconds of a countdown that began at `most` a moment ago."""
    return f"({'|'.join(str(seconds) for seconds in range(most - 10, most + 1))})"


def keep_screenshot(page: Page, name: str) -> None:
    """Save a picture of the page of a failed test."""
    SCREENSHOTS.mkdir(exist_ok=True)
    page.screenshot(path=SCREENSHOTS / f"{re.sub('[^A-Za-z0-9_-]', '-', name)}.png", full_page=True)
