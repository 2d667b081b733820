"""A real browser for the tests of the page, and the person in front of it."""

import itertools
import re
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from axe_playwright_python.base import AXE_SCRIPT, AxeResults
from playwright.sync_api import Browser, ConsoleMessage, Error, Locator, Page, Playwright, expect

from local.tencent import TencentStandIn
from sms_login.otp.rules import Rules
from tests.testkit.backends import Backend

SCREENSHOTS = Path(__file__).parents[2] / "test-screenshots"  # of tests that failed
RULES = Rules(cooldown=30)  # of the function behind the page, which shows less than a minute in seconds
ARGUMENTS = (
    *("--no-sandbox", "--headless", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync"),
    # Draw with fewer processes and threads, which would take turns on the same core.
    *("--disable-gpu", "--in-process-gpu", "--num-raster-threads=1"),
    # No request leaves this machine; one that would fails, and the browser reports it.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
)
# Of a window. Without animations the machine has less work, and a button does not move under a test's click.
_STILL = {"locale": "en-US", "viewport": {"width": 1280, "height": 900}, "reduced_motion": "reduce"}
# A browser reports each refusal of the function as an error of the network.
_REFUSAL = re.compile(r"Failed to load resource: the server responded with a status of [45][0-9]{2} ")
_NUMBERS = itertools.count(13_800_138_100)
_DEADLINE = 20_000  # ms; far more than a page needs, since other tests take turns with it
# To see an element appear, tests call its `wait_for`: each time that `expect` finds it missing or hidden, Playwright
# describes the whole page for a report, which takes the browser longer than all else in a test.
expect.set_options(timeout=_DEADLINE)


def find_chromium() -> str | None:
    """Return the path of Chromium or Chrome, preferably the headless shell, which needs half the resources."""
    names = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    return next((path for name in names if (path := shutil.which(name))), None)


def launch(playwright: Playwright) -> Browser:
    """Start the browser."""
    return playwright.chromium.launch(executable_path=find_chromium(), args=ARGUMENTS)


class Windows:
    """Windows of one browser, each with storage of its own.

    A window without options serves one test after another, with or without an installed clock, and begins with empty
    storage: a new window takes twice as long as a new page in an old one.
    """

    def __init__(self, browser: Browser) -> None:
        self._browser = browser
        self._free: dict[bool, list[Page]] = {False: [], True: []}  # by whether their clock is installed
        self._lent: dict[Page, bool] = {}

    def take(self, *, clock: bool = False, prepare: str = "", **options: Any) -> Page:
        """Return a window; `prepare` is a script that runs before those of each page.

        With `clock`, the window's clock stands still: only `page.clock` moves it.
        """
        special = bool(prepare or options)
        if self._free[clock] and not special:
            page = self._free[clock].pop()
        else:
            page = self._browser.new_context(**{**_STILL, **options}).new_page()
            if clock:
                page.clock.install(time="2026-11-21T04:00:00Z")
                page.clock.pause_at("2026-11-21T04:00:01Z")
            if prepare:
                page.add_init_script(prepare)
        if not special:
            self._lent[page] = clock
        return page

    def give_back(self, page: Page) -> None:
        """Empty the storage of the page's site and keep the window; close a window with options."""
        if page not in self._lent:
            page.context.close()
            return
        page.unroute_all()
        page.context.clear_cookies()
        # The page's scripts still run: they must not write again before the window is empty.
        page.evaluate("Storage.prototype.setItem = () => {}; localStorage.clear(); sessionStorage.clear()")
        page.goto("about:blank")
        self._free[self._lent.pop(page)].append(page)


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
        self.page.on("pageerror", self._error)

    def leave(self) -> None:
        """Stop watching the window."""
        self.page.remove_listener("console", self._console)
        self.page.remove_listener("pageerror", self._error)

    def _console(self, message: ConsoleMessage) -> None:
        expected = _REFUSAL.match(message.text) or (self.lost and "net::ERR_FAILED" in message.text)
        if message.type in {"error", "warning"} and not expected:
            self.problems.append(message.text)

    def _error(self, error: Error) -> None:
        self.problems.append(str(error))

    def open(self) -> None:
        """Open the page."""
        self.page.goto(self.url)
        self.screen("waiting").wait_for(state="hidden")

    def screen(self, name: str) -> Locator:
        """Return a screen of the phone."""
        return self.page.locator(f"#{name}")

    def press(self, name: str) -> None:
        """Press the button of this name on the phone."""
        self.button(name).click()

    def press_language(self) -> None:
        """Press the button that changes the language of the page."""
        self.page.locator("#language").click()

    def button(self, name: str | re.Pattern[str]) -> Locator:
        """Return the button of this name on the phone."""
        return self.page.locator(".phone").get_by_role("button", name=name, exact=True)

    def ask_for_code(self) -> None:
        """Type the number and get a code."""
        self.try_for_code()
        self.screen("code").wait_for()

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
        self.screen("home").wait_for()

    def sign_out(self) -> None:
        """Press "Sign out" and wait for the answer, which moves the focus."""
        self.press("Sign out")
        self.says("You are signed out.")

    def says(self, words: str | re.Pattern[str]) -> None:
        """Wait until the phone shows these words in a note or an error."""
        place = self.page.locator("#screens .note:visible, #screens .error:visible, #captcha .error:visible")
        place.filter(has_text=words).wait_for()

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
        return violations(self.page, *rules, within=within)

    def overflows(self) -> bool:
        """Return whether the window has to be scrolled sideways."""
        return bool(self.page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth"))


def violations(page: Page, *rules: str, within: str = "html") -> str:
    """Return a report of axe-core's findings `within` an element, by `rules` if there are any."""
    options = {"resultTypes": ["violations"], **({"runOnly": rules} if rules else {})}
    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE_SCRIPT)
    run = "([within, options]) => axe.run(within, options).then(({ violations }) => ({ violations }))"
    results = AxeResults(page.evaluate(run, [within, options]))
    return results.generate_report() if results.violations_count else ""


def counting(most: int) -> str:
    """Return a regular expression for the seconds of a countdown that began at `most` a moment ago."""
    return f"({'|'.join(str(seconds) for seconds in range(most - 10, most + 1))})"


def keep_screenshot(page: Page, name: str) -> None:
    """Save a picture of the page of a failed test."""
    SCREENSHOTS.mkdir(exist_ok=True)
    page.screenshot(path=SCREENSHOTS / f"{re.sub('[^A-Za-z0-9_-]', '-', name)}.png", full_page=True)
