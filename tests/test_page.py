import json
import os
import re
import shlex
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from typing import Any, NamedTuple, get_args
from urllib.parse import urlencode

import phonenumbers
import pytest
import redis
from playwright.sync_api import Browser, Locator, Page, Route, expect

from local.cloud import local_cloud
from local.failures import MODES, WHOLE_MODES
from local.gateway import Gateway
from local.receipts import FATES
from local.tencent import TencentStandIn
from sms_login import errors, wiring
from sms_login.adapters.redis.codes import otp_key
from sms_login.otp.delivery import Reason
from sms_login.otp.purposes import bound
from sms_login.phone import Phone
from sms_login.sessions.store import SessionRules
from tests.testkit.backends import Backend
from tests.testkit.browser import RULES, Person, Windows, counting, keep_screenshot, new_number
from tests.testkit.servers import until

SETTINGS = {
    "SMS_TIMEOUT": "1",  # s that a test of a timeout takes
    "IP_HOURLY_LIMIT": "1000",  # all tests have one address
    "IP_DAILY_LIMIT": "1000",
    "IP_GUESS_LIMIT": "1000",
    "RANGE_HOURLY_LIMIT": "1000",
    "RANGE_DAILY_LIMIT": "1000",
    "IP_REFUSED_LIMIT": "1000",
    "ALLOWED_COUNTRIES": "CN,DE",
    "RESEND_COOLDOWN": str(RULES.cooldown),
    "TZ_OFFSET": str(12 - datetime.now(timezone.utc).hour),  # about noon: a test that moves the clock stays in the day
}
NO_NUMBER = re.compile("phone number")  # the function's own words, which say what is wrong with it
Visit = Callable[..., Person]


class Place(NamedTuple):
    """The services that `make run` starts, and a second gateway that always requires a captcha."""

    gateway: Gateway
    with_captcha: Gateway
    tencent: TencentStandIn
    backend: Backend


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    """Run everything in this process."""
    with local_cloud(SETTINGS) as cloud, pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("REDIS_")]:
            patch.delenv(name)
        for name in ("REDIS_HOST", "REDIS_PORT", "REDIS_PASSWORD"):
            patch.setenv(name, cloud.environ[name])  # for the gateway's own paths
        patch.setattr("sms_login.adapters.tencent.captcha._TIMEOUT", 1.0)  # s that a test of a timeout takes
        plain = wiring.build(cloud.environ)
        careful = wiring.build({**cloud.environ, "CAPTCHA_MODE": "always"})
        client: Any = redis.Redis(
            host=cloud.environ["REDIS_HOST"],
            port=int(cloud.environ["REDIS_PORT"]),
            password=cloud.environ["REDIS_PASSWORD"],
            protocol=2,
            decode_responses=True,
        )
        with (
            client,
            Gateway(plain.handle, cloud.tencent, port=0) as gateway,
            Gateway(careful.handle, cloud.tencent, port=0) as with_captcha,
        ):
            callback = {"method": "smsReceipt", "key": cloud.environ["SMS_RECEIPT_KEY"]}
            cloud.tencent.receipts.callback = f"{gateway.url}/?{urlencode(callback)}"
            cloud.tencent.receipts.delay = 0
            cloud.tencent.fail("none", action="Receipt")  # a receipt comes where a test asks for one
            yield Place(gateway, with_captcha, cloud.tencent, Backend(client))
            cloud.tencent.close()  # before the gateways, which wait for hanging requests


@pytest.fixture(scope="module")
def windows(browser: Browser) -> Windows:
    """Windows that serve one test after another."""
    return Windows(browser)


@pytest.fixture
def visit(place: Place, windows: Windows, request: pytest.FixtureRequest) -> Iterator[Visit]:
    """Open the page for users, and fail if one of them meets an error that does not come from the function."""
    people: list[Person] = []
    failed = request.session.testsfailed

    def new(*, captcha: bool = False, **options: Any) -> Person:
        gateway = place.with_captcha if captcha else place.gateway
        person = Person(windows.take(**options), f"{gateway.url}/", place.tencent, place.backend)
        people.append(person)
        person.open()
        return person

    try:
        yield new
    finally:
        place.tencent.fail("off")
        place.tencent.fail("off", action="DescribeCaptchaResult")
        place.tencent.fail("none", action="Receipt")
        for number, person in enumerate(people):
            if request.session.testsfailed > failed:
                keep_screenshot(person.page, f"{request.node.name}-{number}")
            person.leave()
            windows.give_back(person.page)
    assert [problem for person in people for problem in person.problems] == []


def lets_phones_recognise_the_code(person: Person) -> None:
    """The screen names the number, and its input has the focus and the attributes for a one-time code."""
    person.page.get_by_role("heading", name="Enter the code").wait_for()
    person.page.get_by_text(f"Sent to +86 {person.number[:3]} {person.number[3:7]}").wait_for()
    code = person.page.get_by_label("Six-digit code")
    expect(code).to_be_focused()
    wanted = {"autocomplete": "one-time-code", "inputmode": "numeric", "type": "text"}
    assert {name: code.get_attribute(name) for name in wanted} == wanted


def copies_a_request_for_a_shell(person: Person) -> None:
    """The command repeats the request."""
    person.page.get_by_role("button", name="Copy as curl").click()
    person.page.get_by_role("button", name="Copied").wait_for()
    copied = shlex.split(person.page.evaluate("navigator.clipboard.readText()"))
    assert copied[:2] == ["curl", person.url]
    assert json.loads(copied[-1]) == {"method": "getSms", "phone": f"+86{person.number}"}
    assert "Content-Type: application/json" in copied


def counts_the_keys_of_the_number_down(person: Person) -> None:
    """The panel of Redis shows the code's digest and never the code."""
    redis_panel = person.page.locator("#redis")
    cooldown = redis_panel.locator("article", has_text="Wait between sendings").locator(".ttl")
    expect(cooldown).to_have_text(re.compile(f"^{counting(RULES.cooldown)} s$"))
    person.wait(10)
    expect(cooldown).to_have_text(re.compile(f"^{counting(RULES.cooldown - 10)} s$"))
    code = redis_panel.locator("article").filter(has=person.page.locator("strong", has_text=re.compile("^Code$")))
    expect(code).to_contain_text("digest")
    assert not re.search(rf"\b{person.codes[0]}\b", redis_panel.inner_text())  # dates and the number have digits too


def shortens_the_tokens(person: Person) -> None:
    """The list of requests shows the beginning of a refresh token."""
    calls = person.page.locator("#requests")
    expect(calls.locator("summary").first).to_have_text(re.compile("login.*200 Success.*ms"))
    refresh_token = person.page.evaluate("localStorage.getItem('sms-login.refreshToken')")
    assert refresh_token.startswith("rt_")
    assert refresh_token not in calls.inner_text()
    assert f'"refreshToken": "{refresh_token[:10]}…"' in calls.inner_text()


def works_by_keyboard_alone(person: Person) -> None:
    """From the number to signing out, the focus moves to the next step."""
    page, press = person.page, person.page.keyboard.press
    page.get_by_label("Country or region").focus()
    press("Tab")
    expect(page.get_by_label("Mobile number")).to_be_focused()
    press("ControlOrMeta+a")
    page.keyboard.type(person.number)
    press("Enter")
    expect(page.get_by_label("Six-digit code")).to_be_focused()
    page.keyboard.type(person.codes[0])
    expect(page.locator("#name")).to_be_focused()
    press("Tab")
    page.keyboard.type("小明")
    press("Enter")
    expect(page.locator("#name")).to_have_text("小明")
    for _ in range(5):
        press("Tab")
    expect(person.button("Sign out")).to_be_focused()
    press("Enter")
    person.says("You are signed out.")
    expect(page.locator("#number h2")).to_be_focused()


def test_a_login_works_by_mouse_and_keyboard_and_the_console_shows_it(visit: Visit) -> None:
    """The console shows messages, requests for a shell with shortened tokens, and the keys of the number in Redis."""
    person = visit(clock=True, permissions=["clipboard-read", "clipboard-write"])
    person.ask_for_code()
    lets_phones_recognise_the_code(person)
    copies_a_request_for_a_shell(person)
    inbox = person.page.locator("#inbox .message")
    expect(inbox.filter(has_text=f"+86{person.number}")).to_contain_text(person.codes[0])
    counts_the_keys_of_the_number_down(person)
    person.type_code(person.codes[0])  # the page sends a complete code by itself
    person.says("Welcome! Your account has been made.")
    expect(person.page.locator("#own-number")).to_have_text(re.compile(rf"^\+86 {person.number[:3]} "))
    person.wait(1)  # the console looks each second
    user = person.page.locator("#redis article", has_text="User record")
    expect(user.locator(".ttl")).to_have_text("for ever")
    shortens_the_tokens(person)
    person.sign_out()
    person.number = new_number()
    works_by_keyboard_alone(person)


def test_a_click_on_a_message_fills_in_its_code(visit: Visit, place: Place) -> None:
    """A click works in the inbox and on the phone; if the phone waits for no code, the inbox says so.

    A German number in national form gets its message in English, and its keys are shown. A template may name the
    minutes before the code.
    """
    person = visit()
    page, arrived, message = person.page, person.page.locator(".arrived"), person.page.locator("#inbox .message").first
    person.ask_for_code()
    expect(arrived.locator("[lang=zh-CN]")).to_have_text(
        f"【sms-login】{person.codes[0]} 为您的登录验证码，5 分钟内有效。"
    )
    own = page.locator("#inbox").get_by_role("button", name=person.number)
    own.click()
    person.screen("home").wait_for()
    own.click()
    expect(page.locator("#inbox-hint")).to_have_text("The phone is not waiting for a code now.")
    person.sign_out()
    page.get_by_label("Country or region").select_option(label="Germany +49")
    expect(page.get_by_label("Mobile number")).to_have_attribute("placeholder", "")
    person.number = "01512 3456789"
    person.ask_for_code()
    [german] = place.tencent.inbox("+4915123456789")
    english = f"[sms-login] {german.params[0]} is your sign-in code, valid for 5 minutes."
    expect(arrived.locator("[lang=en]")).to_have_text(english)
    expect(page.locator("#redis")).to_contain_text(otp_key(Phone.parse("+4915123456789", "CN"), "latest"))
    arrived.click()
    person.screen("home").wait_for()
    expect(arrived).to_have_count(0)
    person.sign_out()

    def turn(route: Route) -> None:
        messages = [message.as_json() for message in place.tencent.inbox()]
        route.fulfill(json=[{**message, "params": message["params"][::-1]} for message in messages])

    page.route("**/_local/inbox", turn)
    page.get_by_label("Country or region").select_option(label="China +86")
    person.number = new_number()
    person.ask_for_code()
    expect(arrived.locator("strong")).to_have_text(person.codes[0])
    message.click()
    person.screen("home").wait_for()


def gets_a_call(person: Person) -> None:
    """The call is offered after the cooldown, and a click on it signs in."""
    call = person.button("No message? Get a call")
    expect(call).to_be_hidden()
    person.cool_down()
    call.click()
    person.says("We are calling you. The code is the same.")
    arrived = person.page.locator(".arrived")
    expect(arrived).to_contain_text("Call")
    first, second = person.codes
    assert first == second
    assert person.page.evaluate("window.spoken") == ["zh-CN", f"您的验证码是 {' '.join(first)} "]
    arrived.click()
    person.screen("home").wait_for()


def test_the_person_who_waits_is_told_the_fate_of_the_message_and_may_get_a_call(visit: Visit, place: Place) -> None:
    """The page says that it is on its way, then that it was delivered, or why not and what to do; and it gives up.

    After the cooldown, the page offers a call unless the message has arrived; it reads the same code aloud.
    """
    spoken = "window.speechSynthesis.speak = (words) => (window.spoken = [words.lang, words.text])"
    person = visit(clock=True, prepare=spoken)
    person.ask_for_code()
    gets_a_call(person)
    person.sign_out()
    page, fate = person.page, person.page.locator("#fate")
    both = page.evaluate("async () => (await import('/page/fate_words.js')).fateWords")
    words, ask = both["en"], page.locator("#number .primary")

    def waits(mode: str, seconds: int) -> None:
        place.tencent.fail(mode, action="Receipt")
        person.number = new_number()
        page.locator("#phone").fill(person.number)
        ask.click()
        expect(fate).to_have_text(words["onItsWay"])
        key = otp_key(Phone.parse(person.number, "CN"), "receipts")
        until(lambda: mode == "none" or person.backend.client.exists(key) == 1, 20)
        person.wait(seconds)

    waits("delivered", 3)
    expect(fate).to_have_text(words["delivered"].replace("{wait}", "3 s"))
    calls = page.locator("#requests summary strong")
    expect(calls).to_have_text(["getSmsStatus", "getSms", "logout", "login", "getSms", "getSms"])
    page.reload()
    expect(fate).to_have_text(words["delivered"].replace("{wait}", "3 s"))
    person.press_language()
    expect(fate).to_have_text(both["zh"]["delivered"].replace("{wait}", "3 秒"))
    person.press_language()
    person.cool_down()
    expect(person.button("Send it again")).to_be_enabled()
    expect(page.locator("#call")).to_be_hidden()
    for reason in get_args(Reason)[:2]:  # the others differ in their words alone
        page.locator("#back").click()
        waits(reason, 2)
        expect(fate).to_have_text(words[reason])
        expect(fate).to_have_class("small failed")
    page.locator("#back").click()
    waits("none", 61)
    expect(fate).to_have_text(words["noReceipt"])
    page.locator("#back").click()
    waits("blocked", 2)
    page.clock.resume()  # axe-core waits for time to pass
    expect(fate).to_have_class("small failed")
    assert person.violations(within="#code") == ""


OTP = """
    window.OTPCredential = class {};
    navigator.credentials.get = (options) => new Promise((resolve) => {
        window.asked = options.otp.transport;
        window.signal = options.signal;
        window.deliver = (code) => resolve({ code });
    });
"""


def marks_an_invalid_number(person: Person) -> None:
    """The field is marked and has the focus, and the panel of Redis keeps its hint; typed digits are in groups."""
    number, own = person.page.get_by_label("Mobile number"), person.number
    person.number = "abc"
    person.try_for_code()
    person.says(NO_NUMBER)
    expect(number).to_be_focused()
    expect(number).to_have_attribute("aria-invalid", "true")
    expect(person.page.locator("#redis")).to_have_text("Get a code, and the number’s keys are shown here.")
    number.fill("")
    number.press_sequentially("138001380001")
    expect(number).to_have_value("138 0013 80001")
    number.press("Backspace")
    number.press("Backspace")
    expect(number).to_have_value("138 0013 800")
    person.number = own


def picks_a_country(person: Person) -> None:
    """The allowed countries come first, and the picker sets the calling code."""
    expect(person.page.locator("#country > option")).to_have_text(["China +86"])
    expect(person.page.locator("#country > optgroup > option")).to_have_count(len(phonenumbers.SUPPORTED_REGIONS) - 1)
    person.page.get_by_label("Country or region").select_option(label="United Kingdom +44")
    expect(person.page.locator("#calling")).to_have_text("+44")
    person.page.get_by_label("Mobile number").fill("07400 123456")
    person.press("Get a code")
    person.says("Numbers of this country are not supported. Please use another one.")
    person.page.get_by_label("Mobile number").fill("12")
    person.press("Get a code")
    person.says(NO_NUMBER)
    person.page.get_by_label("Mobile number").fill("")
    person.press("Get a code")
    person.says("Enter your mobile number.")


def comes_back_to_its_code(person: Person) -> None:
    """Within the cooldown the page makes no second request, also after another number was refused."""
    own, keys = person.number, person.page.locator("#redis")
    person.press("Back")
    assert person.page.evaluate("window.signal.aborted") is True
    person.press("Get a code")
    person.screen("code").wait_for()
    person.press("Back")
    person.number = "12"
    person.try_for_code()
    person.says(NO_NUMBER)
    expect(keys).to_have_text("Get a code, and the number’s keys are shown here.")
    person.number = f"+86{own}"
    person.ask_for_code()
    person.number = own
    assert len(person.codes) == 1
    expect(keys).to_contain_text(otp_key(Phone.parse(own, "CN"), "latest"))


def test_the_page_takes_a_number_and_a_code_as_people_type_and_paste_them(visit: Visit) -> None:
    """Address books add dashes and marks for the direction of writing, messages words and full-width digits.

    A number that begins with + has its own calling code. A code with too few digits is not sent. A browser with WebOTP
    fills in the code, and the page stops listening when the user leaves the screen. A login needs no HTTPS: an emulator
    opens the page over plain HTTP, where a browser has no crypto.randomUUID.
    """
    person = visit(prepare=f"delete Crypto.prototype.randomUUID; {OTP}")
    marks_an_invalid_number(person)
    picks_a_country(person)
    number = person.number
    person.number = f"\u202d+86 {number[:3]}\u2011{number[3:7]}\u2013{number[7:]}\u202c"
    person.ask_for_code()
    person.number = number
    assert person.page.evaluate("[window.asked, window.signal.aborted]") == [["sms"], False]
    comes_back_to_its_code(person)
    person.type_code("12a 3")
    person.press("Sign in")
    person.says("Enter all six digits.")
    person.type_code(" ".join(chr(ord("０") + int(digit)) for digit in person.codes[0]) + " is your code")
    person.screen("home").wait_for()
    person.sign_out()
    number = new_number()
    person.number = f"+86 {number}"
    person.ask_for_code()
    person.number = number
    person.page.evaluate("(code) => window.deliver(code)", person.codes[0])
    person.screen("home").wait_for()


def counts_retry_after_down(person: Person) -> None:
    """After a 429 the button is disabled for Retry-After, and another number can be tried at once."""
    own, taken = person.number, new_number()
    sent = person.page.request.post(person.url, data={"method": "getSms", "phone": f"+86{taken}"})  # another device
    assert sent.ok
    person.number = taken
    person.try_for_code()
    person.says(re.compile(f"^That was too often. Try again in {counting(RULES.cooldown)} s.$"))
    button = person.button(re.compile("^Get a code"))
    expect(button).to_be_disabled()
    expect(button).to_be_focused()  # a keyboard user keeps the focus
    person.page.keyboard.press("Enter")
    person.wait(10)
    expect(button).to_have_text(re.compile(rf"^Get a code \({counting(RULES.cooldown - 10)} s\)$"))
    expect(person.page.locator("#requests summary")).to_have_count(1)  # pressing it again made no request
    person.page.get_by_label("Mobile number").fill(own)
    expect(button).to_be_enabled()
    expect(button).to_have_text("Get a code")
    person.try_for_code()
    person.says("That was too often.")
    person.page.get_by_label("Country or region").select_option(label="Germany +49")
    expect(button).to_be_enabled()
    person.page.get_by_label("Country or region").select_option(label="China +86")


def repeats_the_code_after_the_cooldown(person: Person) -> None:
    """The button counts `resendAfter` down, also after a reload, and the line below it the life of the code."""
    person.number = new_number()
    person.ask_for_code()
    again, expiry = person.button(re.compile("^Send it again")), person.page.locator("#expiry")
    expect(again).to_have_text(f"Send it again in {RULES.cooldown + 1} s")
    expect(again).to_be_disabled()
    person.wait(10)
    expect(again).to_have_text(f"Send it again in {RULES.cooldown - 9} s")
    expect(expiry).to_have_text("The code works for 4:50")
    person.open()  # a phone may reload the page while its user reads the message
    expect(again).to_have_text(f"Send it again in {RULES.cooldown - 9} s")
    person.wait(RULES.cooldown - 9)
    again.click()
    person.says("Sent again. It is the same code.")
    assert len(person.codes) == 2
    assert len(set(person.codes)) == 1
    expect(expiry).to_have_text("The code works for 5:00")
    person.wait(300)
    expect(expiry).to_have_text("This code has expired. Send a new one.")
    person.type_code(person.codes[0])
    person.says("This code has expired. Send a new one.")
    expect(expiry).to_be_hidden()
    person.press("Back")


def offers_a_new_code_after_too_many_wrong_ones(person: Person) -> None:
    """The page says once that the code is dead, takes no more digits, counts down to a new one, and that signs in."""
    person.number = new_number()
    person.ask_for_code()
    person.spend_guesses(person.wrong)
    again = person.button(re.compile("^Send a new code in"))
    expect(again).to_be_focused()
    expect(person.page.locator("#expiry")).to_be_hidden()
    expect(person.button("Sign in")).to_be_disabled()
    expect(person.page.get_by_label("Six-digit code")).not_to_be_editable()
    person.cool_down()
    person.press("Send a new code")
    person.says("A new code is on its way.")
    expect(person.page.get_by_label("Six-digit code")).to_be_focused()
    assert len(person.codes) == 2
    person.type_code(person.codes[0])
    person.screen("home").wait_for()
    person.sign_out()


def replaces_a_dead_code_after_going_back(person: Person, end: str) -> None:
    """Going back requests a new code; during the cooldown, the page says so and counts down."""
    person.number = new_number()
    person.ask_for_code()
    wrong = person.wrong
    if end == "no guesses left":
        person.spend_guesses(wrong)
    else:
        kept = otp_key(Phone.parse(person.number, "CN"), "?" * 22)
        person.backend.client.delete(*person.backend.client.keys(kept))
        person.type_code(wrong)
        person.says("This code has expired. Send a new one.")
    person.press("Back")
    person.press("Get a code")
    person.says(re.compile(f"^That was too often. Try again in {counting(RULES.cooldown)} s.$"))
    button = person.button(re.compile("^Get a code"))
    expect(button).to_be_disabled()
    person.wait(10)
    expect(button).to_have_text(re.compile(rf"^Get a code \({counting(RULES.cooldown - 10)} s\)$"))
    person.open()
    person.screen("number").wait_for()
    person.wait(RULES.cooldown - 9)
    person.ask_for_code()
    person.says("A new code is on its way.")
    assert len(set(person.codes)) == 2
    person.type_code(person.codes[0])
    person.screen("home").wait_for()
    person.sign_out()


def test_a_code_that_no_longer_works_is_replaced_after_the_cooldown(visit: Visit) -> None:
    """The page counts down to the next code, and a reload keeps the waiting screen but brings no ended session back."""
    person = visit(clock=True)
    counts_retry_after_down(person)
    repeats_the_code_after_the_cooldown(person)
    offers_a_new_code_after_too_many_wrong_ones(person)
    for end in ("no guesses left", "gone from Redis"):
        replaces_a_dead_code_after_going_back(person, end)
    person.open()
    person.screen("number").wait_for()
    person.number = new_number()
    person.ask_for_code()
    person.wait(300)
    person.open()
    person.screen("number").wait_for()


FAILURES = [  # of SendSms: the switch's label, the page's words, the screen, and the number of messages that arrive
    ("Out of messages", "The message cannot be sent just now", "number", 0),
    ("Too soon", "That was too often. Try again in", "number", 0),
    ("Broken connection", "The message may be on its way. If it arrives, its code works", "code", 0),
    ("Charset in header", "", "code", 1),
    ("No answer", "The message may be on its way. If it arrives, its code works", "code", 1),
]


def sets_a_failure(person: Person, mode: Locator) -> None:
    """Choose a failure, and wait until it is set: the next request goes over another connection."""
    with person.page.expect_response("**/_local/fail?*"):
        mode.check()


def explains_a_failure(person: Person, mode: str, words: str, screen: str, sent: int) -> None:
    """The switch makes one SMS fail, and the page explains it."""
    switch = person.page.get_by_role("group", name="Sending an SMS")
    person.number = new_number()
    sets_a_failure(person, switch.get_by_label(mode))
    person.try_for_code()
    if words:
        person.says(words)
    person.screen(screen).wait_for()
    expect(person.page.locator(".doubt")).to_have_count(1 if words and screen == "code" else 0)
    assert len(person.codes) == sent, mode
    expect(switch.get_by_label("Normal")).to_be_checked()  # the failure was for one request


def sends_another_sms_after_a_timeout(person: Person, tencent: TencentStandIn) -> None:
    """An SMS that may have been sent counts as sent, and a resend is a new request instead of a repeat."""
    tencent.fail("timeout", 1)
    for times in (2, 3):
        person.cool_down()
        person.press("Send it again")
        if times == 3:
            person.press("I am a person")  # required from a number's third sending of the day
            person.says("Sent again. It is the same code.")
        person.button(re.compile("^Send it again in")).wait_for()
        assert len(person.codes) == times


def test_each_failure_of_sendsms_is_explained(visit: Visit, place: Place) -> None:
    """A message that has arrived signs in. Without "only the next time" a mode stays, also if it was set elsewhere."""
    person = visit(clock=True)
    for mode, words, screen, sent in FAILURES:
        explains_a_failure(person, mode, words, screen, sent)
        if mode == "No answer":
            sends_another_sms_after_a_timeout(person, place.tencent)
        if sent:
            person.type_code(person.codes[0])
            person.screen("home").wait_for()
            person.sign_out()
        elif screen == "code":
            person.press("Back")
    switch = person.page.get_by_role("group", name="Sending an SMS")
    person.page.get_by_label("Only the next time").uncheck()
    switch.get_by_label("Out of messages").check()
    switch.get_by_text("Tencent Cloud refuses: the account is out of messages.").wait_for()
    assert place.tencent.failing == ("refusal", None)
    switch.get_by_label("Normal").check()
    switch.get_by_text("Tencent Cloud answers normally.").wait_for()
    assert place.tencent.failing == ("off", None)
    place.tencent.fail("LimitExceeded.PhoneNumberDailyLimit")
    person.wait(1)
    switch.get_by_text("LimitExceeded.PhoneNumberDailyLimit").wait_for()


def test_a_required_captcha_is_shown_until_a_ticket_is_good(visit: Visit) -> None:
    """A bad ticket is refused and the captcha shown again, Escape leaves it, and a good ticket sends the code.

    If the service does not answer, the ticket is refused and the page asks for another captcha. Without the gateway, a
    switch shows only a mode that was set, and a captcha that cannot be opened is asked for again.
    """
    person = visit(captcha=True)
    person.try_for_code()
    person.page.get_by_role("dialog", name="Are you a person?").wait_for()
    for kind in ("Expired ticket", "Used ticket"):
        person.press(kind)
        person.says("That ticket was not accepted. Please try again.")
    person.page.keyboard.press("Escape")
    person.says("Please show that you are a person first.")
    assert person.codes == []
    person.press("Get a code")
    person.press("I am a person")
    person.screen("code").wait_for()
    assert len(person.codes) == 1
    person.press("Back")
    switch = person.page.get_by_role("group", name="Checking a captcha")
    for mode in ("No answer", "Broken connection", "Charset in header"):
        person.number = new_number()
        sets_a_failure(person, switch.get_by_label(mode))
        person.try_for_code()
        person.press("I am a person")
        if mode != "Charset in header":
            person.says("That ticket was not accepted. Please try again.")
            person.press("I am a person")
        person.screen("code").wait_for()
        person.press("Back")
    person.lost, person.number = True, new_number()
    person.page.route(
        "**/_local/*", lambda route: route.abort() if route.request.method == "POST" else route.continue_()
    )
    switch = person.page.get_by_role("group", name="Sending an SMS")
    switch.get_by_label("Out of messages").click()
    expect(switch.get_by_label("Normal")).to_be_checked()
    person.try_for_code()
    person.press("I am a person")
    person.says("That ticket was not accepted.")


def renews_an_expired_access_token(person: Person) -> None:
    """The page refreshes by itself, and the user's action succeeds."""
    person.page.clock.fast_forward("03:00:00")
    person.page.get_by_label("Nickname").fill("小明")
    person.press("Save")
    person.says("Your nickname is saved.")
    expect(person.page.locator("#requests summary strong")).to_have_text(["setNickname", "refresh", "login", "getSms"])


def shows_a_nickname_as_text(person: Person) -> None:
    """Markup in a nickname is never interpreted, also after a reload and in the console."""
    name = "<img src=x onerror=alert(1)><b>x"
    person.page.get_by_label("Nickname").fill(name)
    person.press("Save")
    person.says("Your nickname is saved.")
    person.open()
    person.says("Welcome back!")
    person.wait(1)  # the console looks each second
    expect(person.page.locator("#name")).to_have_text(name)
    expect(person.page.locator("#redis")).to_contain_text(name)
    expect(person.page.locator("main img, main b")).to_have_count(0)
    kept = person.page.evaluate("JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie])")
    assert not re.search(r"eyJ[\w-]+\.", kept)  # the beginning of a JWT


def test_a_reload_keeps_the_user_signed_in(visit: Visit) -> None:
    """The page keeps the refresh token, renews the access token, and no storage of the browser has the latter."""
    person = visit(clock=True)
    person.sign_in()
    renews_an_expired_access_token(person)
    shows_a_nickname_as_text(person)
    person.page.context.clear_cookies()
    person.page.evaluate("localStorage.setItem('sms-login.refreshToken', 'rt_made_up')")
    person.open()
    person.says("You are no longer signed in. Please sign in again.")
    assert person.page.evaluate("localStorage.getItem('sms-login.refreshToken')") is None


def repeats_a_login_whose_answers_are_lost(person: Person) -> None:
    """A repeated request carries the same Idempotency-Key, and a new request a new one."""
    keys: list[str] = []

    def lose(route: Route) -> None:
        method = json.loads(route.request.post_data or "{}")["method"]
        keys.append(f"{method} {route.request.headers['idempotency-key']}")
        if len(keys) in {1, 3}:
            route.fetch()  # the function has handled it
            route.abort()
        else:
            route.continue_()

    person.page.route(person.url, lose)
    person.try_for_code()
    person.says("No connection. Check your network and try again.")
    person.press("Get a code")
    person.screen("code").wait_for()
    assert len(person.codes) == 1
    person.type_code(person.codes[0])
    person.says("No connection. Check your network and try again.")
    person.press("Sign in")
    person.says("Welcome! Your account has been made.")
    assert keys[0] == keys[1]
    assert keys[2] == keys[3]
    assert keys[0].split()[1] != keys[2].split()[1]
    person.page.unroute(person.url)


def repeats_a_lost_refresh_at_once(person: Person) -> None:
    """Later, the same refresh token would count as copied, and end the session."""
    lost: list[str] = []

    def lose(route: Route) -> None:
        if route.request.method == "POST" and not lost:
            lost.append(route.fetch().json()["codeStr"])  # the function has handled it
            route.abort()
        else:
            route.continue_()

    person.page.route(person.url, lose)
    person.open()
    person.says("Welcome back!")
    assert lost == ["Success"]
    assert person.page.evaluate("import('/page/api.js').then((api) => api.PATIENCE)") < SessionRules().repeat_for * 1000
    person.page.unroute(person.url)


def test_a_person_signs_in_and_stays_so_though_answers_are_lost(visit: Visit) -> None:
    """Requests are repeated; at a start without a network, the page keeps the session and offers to try again."""
    person = visit()
    person.lost = True
    repeats_a_login_whose_answers_are_lost(person)
    repeats_a_lost_refresh_at_once(person)
    person.page.route(person.url, lambda route: route.abort() if route.request.method == "POST" else route.continue_())
    person.page.goto(person.url)
    person.says("No connection. Check your network and try again.")
    person.page.unroute(person.url)
    person.press("Try again")
    person.says("Welcome back!")


def signs_out_the_other_device(person: Person, other: Person) -> None:
    """After signing out on all devices, another device is signed out at its next request."""
    person.press("Sign out on all devices")
    person.says("You are signed out on all devices.")
    other.page.get_by_label("Nickname").fill("小明")
    other.press("Save")
    other.says("You are no longer signed in. Please sign in again.")
    other.screen("number").wait_for()


def deletes_the_account_with_a_fresh_code(person: Person) -> None:
    """The user is deleted, and the next login makes a new one."""
    person.cool_down()
    person.press("Delete account")
    person.press("Send me a code")
    person.button("Delete my account").wait_for()
    person.type_code(person.wrong)
    person.says(f"That is not the code. Attempts left: {RULES.guesses - 1}.")
    person.type_code(person.codes[0])
    person.says("Your account is deleted.")
    assert person.backend.client.exists(f"user:{{+86{person.number}}}") == 0
    person.cool_down()
    person.try_for_code()
    person.press("I am a person")  # required from a number's third sending of the day
    person.screen("code").wait_for()
    person.type_code(person.codes[0])
    person.says("Welcome! Your account has been made.")
    person.sign_out()


def changes_the_number(person: Person, taken: str) -> None:
    """A code to the present number, then one to the new number; the account stays, and a taken number is refused."""
    person.page.get_by_label("Nickname").fill("小明")
    person.press("Save")
    person.says("Your nickname is saved.")
    before, old = person.page.locator("#own-number").inner_text(), person.number
    for number in (taken, new_number()):
        person.backend.age(RULES.cooldown + 1)
        person.number = old
        person.press("Change the number")
        person.press("Send me a code")
        if number != taken:  # the third message of a day to the number
            person.press("I am a person")
        person.screen("code").wait_for()
        person.type_code(person.codes[0])
        person.screen("new-number").wait_for()
        if number == taken:
            assert person.violations(within=".phone") == ""
        person.press("Send me a code")
        person.says("Enter your mobile number.")
        person.number = number
        person.page.get_by_label("New number").fill(number)
        person.press("Send me a code")
        if number == taken:  # its fourth message
            person.press("I am a person")
        person.screen("code").wait_for()
        person.type_code(person.codes[0])
        if number == taken:
            person.says("This number has an account already.")
            person.press("Back")
            person.press("Back")
    person.says("Your number is changed, and all other devices are signed out.")
    expect(person.page.locator("#name")).to_have_text("小明")
    assert person.page.locator("#own-number").inner_text() != before
    person.sign_out()


def test_an_account_moves_to_another_number_and_ends_on_all_devices(visit: Visit) -> None:
    """The session of another device ends, a deletion takes a fresh code, and a change of the number takes two."""
    person, other = visit(), visit(clock=True)
    person.sign_in()
    other.number = person.number
    other.cool_down()
    other.sign_in()
    signs_out_the_other_device(person, other)
    other.number = new_number()
    other.sign_in()
    deletes_the_account_with_a_fresh_code(other)
    person.number = new_number()
    person.sign_in()
    changes_the_number(person, taken=other.number)


def has_the_words_of_the_function(page: Page) -> None:
    """The page has texts in both languages for each codeStr, with the same placeholders."""
    error_words, fate_words, words, countries, modes = page.evaluate("""async () => [
        (await import("/page/error_words.js")).errorWords,
        (await import("/page/fate_words.js")).fateWords,
        (await import("/page/words.js")).words,
        (await import("/page/countries.js")).countries,
        (await import("/page/failures.js")).MODES,
    ]""")
    refusals = {refusal.name for refusal in errors.Refusal.__subclasses__()}
    assert set(error_words["en"]) == refusals | {"Unreachable", "NoAttemptsLeft", "Later"}
    assert set(fate_words["en"]) == {*get_args(Reason), "delivered", "onItsWay", "noReceipt"}
    for kind in (error_words, fate_words, words):
        assert kind["zh"].keys() == kind["en"].keys()
        for name, english in kind["en"].items():
            chinese = kind["zh"][name]
            assert sorted(re.findall(r"\{\w+\}", chinese)) == sorted(re.findall(r"\{\w+\}", english)), name
            assert re.search("[\u4e00-\u9fff]", chinese) or name == "otherLanguage", name
            assert not re.search("[\u4e00-\u9fff][A-Za-z0-9]|[A-Za-z0-9][\u4e00-\u9fff]", chinese), name
            assert english, name
    known = {code: str(phonenumbers.country_code_for_region(code)) for code in phonenumbers.SUPPORTED_REGIONS}
    assert {country["code"]: country["calling"] for country in countries} == known
    assert len(countries) == len(known)
    assert modes == {"SendSms": list(MODES), "DescribeCaptchaResult": list(WHOLE_MODES), "Receipt": list(FATES)}


def begins_in_the_language_of_the_browser(person: Person) -> None:
    """The page is Chinese, also in its errors and durations; a button changes all texts."""
    page = person.page
    expect(page.locator("html")).to_have_attribute("lang", "zh-CN")
    page.get_by_label("手机号", exact=True).fill("12")
    person.press("获取验证码")
    person.says(re.compile("手机号码.*。$"))
    durations = "import('/page/language.js').then(({duration}) => [45, 65, 7260, 172800].map(duration))"
    assert page.evaluate(durations) == [
        "45 秒",
        "1 分 05 秒",
        "2 小时 1 分",
        "2 天",
    ]  # as 1:05 it would read as a time of day
    waits = """async () => {
        const { explain } = await import("/page/language.js");
        return [0, 30].map((retryAfter) => explain({ name: "TooManyRequests", data: {}, retryAfter }));
    }"""
    assert page.evaluate(waits) == ["操作过于频繁，请在一段时间后再试。", "操作过于频繁，请在 30 秒后再试。"]
    expect(page.get_by_label("国家或地区").locator("option", has_text="中国 +86")).to_have_count(1)
    page.get_by_role("button", name="English").click()
    person.says("This number cannot receive SMS. Check the number and the country.")
    expect(page.locator("html")).to_have_attribute("lang", "en")


RECTANGLES = """[".digits", "#code .primary", ".arrived", "#language"].map(
    (name) => document.querySelector(name).getBoundingClientRect().toJSON())"""


def test_the_page_speaks_both_languages_and_fits_a_phone_of_360_pixels(visit: Visit) -> None:
    """The page begins in the browser's language, and a reload keeps a person's choice.

    The user never scrolls sideways, the phone's screen fills the window, and a message covers no button.
    """
    person = visit(locale="zh-CN", viewport={"width": 360, "height": 740}, has_touch=True, is_mobile=True)
    page = person.page

    def fits(screen: str) -> None:
        person.screen(screen).wait_for()
        for _ in ("one language", "the other"):
            assert not person.overflows(), screen
            box = page.locator(".display").bounding_box()
            assert box
            assert (box["width"], box["height"] >= 660) == (360, True)
            person.press_language()

    has_the_words_of_the_function(page)
    begins_in_the_language_of_the_browser(person)
    person.open()
    page.get_by_role("button", name="中文").wait_for()
    fits("number")
    page.locator("#phone").fill(person.number)
    page.locator("#number .primary").tap()
    page.locator(".arrived .hint").wait_for()
    fits("code")
    for _ in ("one language", "the other"):
        boxes, button, banner, language = page.evaluate(RECTANGLES)
        assert boxes["width"] == button["width"]
        assert banner["right"] <= language["left"]
        person.press_language()
    page.locator("#digits").fill(person.wrong)
    expect(page.locator("#code-error")).not_to_be_empty()
    fits("code")
    page.locator("#digits").fill(person.codes[0])
    fits("home")
    page.get_by_role("button", name="中文").wait_for()
    empty = page.locator("[data-text]").evaluate_all("all => all.filter((one) => !one.textContent).length")
    assert empty == 0


FLOWS = [  # with a purpose, its words in a message, and those of its screens in the language of the page
    ("resetPassword", "重置密码", ["重置密码", "发送验证码", "确认", "完成", "号码已验证"]),
    ("pay", "付款", ["Confirm a payment", "Send me a code", "Confirm", "Done", "Your number is confirmed"]),
]


def shows_the_claims_of_the_proof(person: Person, purpose: str, proved: str) -> None:
    """The proof names the purpose, the number and, for a payment, its detail."""
    expect(person.screen("proof").locator("h2:visible")).to_have_text(proved)
    claims = dict(
        zip(*(person.page.locator(f"#claims {kind}").all_inner_texts() for kind in ("dt", "dd")), strict=True)
    )
    detail = {"detail": bound(purpose, "order 4711, 99.00 CNY").detail} if purpose == "pay" else {}
    wanted = {"purpose": purpose, "phone": f"+86{person.number}", "amr": "sms", "jti": claims["jti"]}
    assert claims == {**wanted, **detail}


def sends_the_code_for_a_payment_again(person: Person) -> None:
    """A resend repeats the code of the flow, going back leads to its screen, and a dead code is replaced."""
    person.cool_down()
    sent = len(person.codes)
    person.press("Send it again")
    person.press("I am a person")
    person.says("Sent again. It is the same code.")
    assert len(person.codes) == sent + 1
    assert person.codes[0] == person.codes[1]
    person.press("Back")
    expect(person.screen("flow").locator("h2")).to_have_text("Confirm a payment")
    person.press("Send me a code")
    person.screen("code").wait_for()
    person.spend_guesses(person.wrong)
    person.cool_down()
    person.press("Send a new code")
    person.press("I am a person")
    person.says("A new code is on its way.")


def test_a_code_confirms_a_password_reset_and_a_payment(visit: Visit) -> None:
    """The message has the purpose's own words, the user stays signed in, and the page shows the proof's claims."""
    person = visit(clock=True, locale="en-US")  # with an option, so that no other test gets its running clock
    person.sign_in()
    person.press_language()
    for purpose, text, (flow, send, confirm, done, proved) in FLOWS:
        person.cool_down()
        person.press(flow)
        person.press(send)
        if purpose == "pay":  # the third message of a day to a number
            person.page.locator("#captcha [data-kind=good]").click()
        expect(person.page.locator(".arrived .text")).to_contain_text(text)
        expect(person.screen("code").locator("h2")).to_have_text(flow)
        expect(person.button(confirm)).to_be_enabled()
        if purpose == "pay":
            sends_the_code_for_a_payment_again(person)
        person.page.locator("#digits").fill(person.codes[0])
        shows_the_claims_of_the_proof(person, purpose, proved)
        if purpose == "pay":  # whose proof has the most claims
            person.page.clock.resume()  # axe-core waits for time to pass
            assert person.violations(within=".phone") == ""
        person.press(done)
        person.screen("home").wait_for()
        person.press_language()
    assert "proof" in person.page.locator("#requests").inner_text()
    assert not re.search(r"eyJ[\w-]{20}", person.page.locator("#requests").inner_text())


def finds_violations_and_foreign_requests(person: Person) -> None:
    """The tests are blind neither to a picture without a description and grey text on grey, nor to another host."""
    person.page.evaluate("document.body.append(new Image())")
    person.page.evaluate("document.querySelector('h1').style.color = 'lightgrey'")
    report = person.violations("image-alt", "color-contrast")
    assert ("image-alt" in report, "color-contrast" in report) == (True, True)
    with person.page.expect_console_message():
        person.page.evaluate("new Image().src = 'http://example.com/'")
    assert "example.com" in person.problems.pop()


def test_axe_core_finds_no_violation_on_any_screen(visit: Visit) -> None:
    """No screen has a violation; in the dark scheme only colours differ, so only their contrast is checked again."""
    person = visit(captcha=True)
    found = []

    def look(within: str = "html") -> None:
        found.append(person.violations(within=within))
        person.page.emulate_media(color_scheme="dark")
        found.append(person.violations("color-contrast", within=within))
        person.page.emulate_media(color_scheme="light")

    look()
    person.press("Get a code")
    person.says("Enter your mobile number.")
    person.try_for_code()
    person.page.get_by_role("dialog").wait_for()
    look(".phone")
    person.press("I am a person")
    person.page.locator(".arrived").wait_for()
    look(".phone")
    person.type_code(person.wrong)
    person.says("That is not the code.")
    expect(person.page.locator("#requests .result.refused")).to_have_count(2)
    look()
    person.type_code(person.codes[0])
    person.screen("home").wait_for()
    look(".phone")
    person.press("Delete account")
    person.press("Send me a code")
    person.says("That was too often.")
    look(".phone")
    assert found == [""] * 12
    finds_violations_and_foreign_requests(person)
