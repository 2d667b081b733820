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
from playwright.sync_api import Route, expect, sync_playwright

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
from tests.testkit.browser import RULES, Person, Windows, counting, find_chromium, keep_screenshot, launch, new_number
from tests.testkit.servers import require, until

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
def windows() -> Iterator[Windows]:
    """Start one browser for all tests."""
    require(find_chromium() is not None, "chromium")
    with sync_playwright() as playwright, launch(playwright) as browser:
        yield Windows(browser)


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


def test_a_whole_login_works_on_the_page(visit: Visit) -> None:
    """The page sends a complete code by itself, and its input lets phones recognise the code."""
    person = visit()
    person.ask_for_code()
    expect(person.page.get_by_role("heading", name="Enter the code")).to_be_visible()
    expect(person.page.get_by_text(f"Sent to +86 {person.number[:3]} {person.number[3:7]}")).to_be_visible()
    code = person.page.get_by_label("Six-digit code")
    expect(code).to_be_focused()
    wanted = {"autocomplete": "one-time-code", "inputmode": "numeric", "type": "text"}
    assert {name: code.get_attribute(name) for name in wanted} == wanted
    person.type_code(person.codes[0])
    person.says("Welcome! Your account has been made.")
    expect(person.page.locator("#own-number")).to_have_text(re.compile(rf"^\+86 {person.number[:3]} "))


def test_the_console_shows_messages_requests_and_redis(visit: Visit) -> None:
    """Tokens are shortened, requests can be copied for a shell, and the expiries of the number's keys count down."""
    person = visit(clock=True, permissions=["clipboard-read", "clipboard-write"])
    person.ask_for_code()
    person.page.get_by_role("button", name="Copy as curl").click()
    expect(person.page.get_by_role("button", name="Copied")).to_be_visible()
    copied = shlex.split(person.page.evaluate("navigator.clipboard.readText()"))
    assert copied[:2] == ["curl", person.url]
    assert json.loads(copied[-1]) == {"method": "getSms", "phone": f"+86{person.number}"}
    assert "Content-Type: application/json" in copied
    inbox = person.page.locator("#inbox .message")
    expect(inbox.filter(has_text=f"+86{person.number}")).to_contain_text(person.codes[0])
    redis_panel = person.page.locator("#redis")
    cooldown = redis_panel.locator("article", has_text="Wait between sendings").locator(".ttl")
    expect(cooldown).to_have_text(re.compile(f"^{counting(RULES.cooldown)} s$"))
    person.wait(10)
    expect(cooldown).to_have_text(re.compile(f"^{counting(RULES.cooldown - 10)} s$"))
    code = redis_panel.locator("article").filter(has=person.page.locator("strong", has_text=re.compile("^Code$")))
    expect(code).to_contain_text("digest")
    assert person.codes[0] not in redis_panel.inner_text()
    person.type_code(person.codes[0])
    expect(redis_panel.locator("article", has_text="User record").locator(".ttl")).to_have_text("for ever")
    calls = person.page.locator("#requests")
    expect(calls.locator("summary").first).to_have_text(re.compile("login.*200 Success.*ms"))
    refresh_token = person.page.evaluate("localStorage.getItem('sms-login.refreshToken')")
    assert refresh_token.startswith("rt_")
    assert refresh_token not in calls.inner_text()
    assert f'"refreshToken": "{refresh_token[:10]}…"' in calls.inner_text()


def test_the_person_who_waits_is_told_the_fate_of_the_message(visit: Visit, place: Place) -> None:
    """The page says that it is on its way, then that it was delivered, or why not and what to do; and it gives up."""
    person = visit(clock=True, locale="en-US")  # with an option, so that no other test gets its running clock
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
    expect(calls).to_have_text(["getSmsStatus", "getSms"])
    page.reload()
    expect(fate).to_have_text(words["delivered"].replace("{wait}", "3 s"))
    person.press_language()
    expect(fate).to_have_text(both["zh"]["delivered"].replace("{wait}", "3 秒"))
    person.press_language()
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


def test_a_person_without_a_message_gets_a_call(visit: Visit, place: Place) -> None:
    """After the cooldown, the page offers a call unless the message has arrived; it reads the same code aloud."""
    spoken = "window.speechSynthesis.speak = (words) => (window.spoken = [words.lang, words.text])"
    person = visit(clock=True, prepare=spoken)
    person.ask_for_code()
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
    expect(person.screen("home")).to_be_visible()
    place.tencent.fail("delivered", action="Receipt")
    person = visit(clock=True)
    person.ask_for_code()
    until(lambda: person.backend.client.exists(otp_key(Phone.parse(person.number, "CN"), "receipts")) == 1, 20)
    person.wait(2)
    expect(person.page.locator("#fate")).to_contain_text("Delivered")
    person.cool_down()
    expect(person.button("Send it again")).to_be_enabled()
    expect(person.page.locator("#call")).to_be_hidden()


def test_a_click_on_a_message_fills_in_its_code(visit: Visit) -> None:
    """A click works in the inbox and on the phone; if the phone waits for no code, the inbox says so."""
    person = visit()
    person.ask_for_code()
    message = person.page.locator("#inbox").get_by_role("button", name=person.number)
    message.click()
    expect(person.screen("home")).to_be_visible()
    message.click()
    expect(person.page.locator("#inbox-hint")).to_have_text("The phone is not waiting for a code now.")
    person = visit()
    person.ask_for_code()
    arrived = person.page.locator(".arrived")
    expect(arrived.locator("[lang=zh-CN]")).to_have_text(
        f"【sms-login】{person.codes[0]} 为您的登录验证码，5 分钟内有效。"
    )
    arrived.click()
    expect(person.screen("home")).to_be_visible()
    expect(arrived).to_have_count(0)


def test_a_template_may_name_the_minutes_first(visit: Visit, place: Place) -> None:
    """A click on a message whose template begins with the minutes fills in the code."""
    person = visit()

    def turn(route: Route) -> None:
        messages = [message.as_json() for message in place.tencent.inbox()]
        route.fulfill(json=[{**message, "params": message["params"][::-1]} for message in messages])

    person.page.route("**/_local/inbox", turn)
    person.ask_for_code()
    expect(person.page.locator(".arrived strong")).to_have_text(person.codes[0])
    person.page.locator("#inbox .message").first.click()
    expect(person.screen("home")).to_be_visible()


def test_what_is_pasted_is_recognised_among_other_characters(visit: Visit) -> None:
    """Address books add dashes and marks for the direction of writing, messages words and full-width digits.

    A code with too few digits is not sent. A login needs no HTTPS: an emulator opens the page over plain HTTP, where a
    browser has no crypto.randomUUID.
    """
    person = visit(prepare="delete Crypto.prototype.randomUUID;")
    number = person.number
    person.number = f"\u202d+86 {number[:3]}\u2011{number[3:7]}\u2013{number[7:]}\u202c"
    person.ask_for_code()
    person.number = number
    person.type_code("12a 3")
    person.press("Sign in")
    person.says("Enter all six digits.")
    person.type_code(" ".join(chr(ord("０") + int(digit)) for digit in person.codes[0]) + " is your code")
    expect(person.screen("home")).to_be_visible()


def test_a_national_number_with_a_leading_zero_works(visit: Visit, place: Place) -> None:
    """A German number in national form gets its message, and its keys are shown."""
    person = visit()
    person.page.get_by_label("Country or region").select_option(label="Germany +49")
    expect(person.page.get_by_label("Mobile number")).to_have_attribute("placeholder", "")
    person.number = "01512 3456789"
    person.ask_for_code()
    [message] = place.tencent.inbox("+4915123456789")
    english = f"[sms-login] {message.params[0]} is your sign-in code, valid for 5 minutes."
    expect(person.page.locator(".arrived [lang=en]")).to_have_text(english)
    expect(person.page.locator("#redis")).to_contain_text(otp_key(Phone.parse("+4915123456789", "CN"), "latest"))
    person.page.locator(".arrived").click()
    expect(person.screen("home")).to_be_visible()


def test_an_invalid_number_is_not_reported_as_a_failure_of_redis(visit: Visit) -> None:
    """The field is marked and has the focus, and the panel of Redis keeps its hint; typed digits are in groups."""
    person = visit()
    person.number = "abc"
    person.try_for_code()
    person.says(NO_NUMBER)
    number = person.page.get_by_label("Mobile number")
    expect(number).to_be_focused()
    expect(number).to_have_attribute("aria-invalid", "true")
    expect(person.page.locator("#redis")).to_have_text("Get a code, and the number’s keys are shown here.")
    number.fill("")
    number.press_sequentially("138001380001")
    expect(number).to_have_value("138 0013 80001")
    number.press("Backspace")
    number.press("Backspace")
    expect(number).to_have_value("138 0013 800")


def test_after_too_many_wrong_codes_the_page_offers_a_new_one(visit: Visit) -> None:
    """The page says once that the code is dead, takes no more digits, counts down to a new one, and that signs in."""
    person = visit(clock=True)
    person.ask_for_code()
    first = person.wrong
    person.spend_guesses(first)
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
    expect(person.screen("home")).to_be_visible()


def test_a_code_that_no_longer_works_is_replaced(visit: Visit) -> None:
    """Going back requests a new code; during the cooldown, the page says so and counts down."""
    person = visit(clock=True)
    for end in ("no guesses left", "gone from Redis"):
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
        expect(person.screen("number")).to_be_visible()
        person.wait(RULES.cooldown - 9)
        person.ask_for_code()
        person.says("A new code is on its way.")
        assert len(set(person.codes)) == 2
        person.type_code(person.codes[0])
        expect(person.screen("home")).to_be_visible()
        person.press("Sign out")


def test_a_resend_waits_for_the_cooldown_and_repeats_the_code(visit: Visit) -> None:
    """The button counts `resendAfter` down, and the line below it the life of the code."""
    person = visit(clock=True)
    person.ask_for_code()
    again = person.button(re.compile("^Send it again"))
    expect(again).to_have_text(f"Send it again in {RULES.cooldown + 1} s")
    expect(again).to_be_disabled()
    person.wait(10)
    expect(again).to_have_text(f"Send it again in {RULES.cooldown - 9} s")
    expect(person.page.locator("#expiry")).to_have_text("The code works for 4:50")
    person.wait(RULES.cooldown - 9)
    again.click()
    person.says("Sent again. It is the same code.")
    assert len(person.codes) == 2
    assert len(set(person.codes)) == 1
    expect(person.page.locator("#expiry")).to_have_text("The code works for 5:00")
    person.wait(300)
    expect(person.page.locator("#expiry")).to_have_text("This code has expired. Send a new one.")
    person.type_code(person.codes[0])
    person.says("This code has expired. Send a new one.")
    expect(person.page.locator("#expiry")).to_be_hidden()


def test_a_resend_after_a_timeout_sends_another_sms(visit: Visit, place: Place) -> None:
    """An SMS that may have been sent counts as sent, and a resend is a new request instead of a repeat."""
    person = visit(clock=True)
    place.tencent.fail("timeout", 2)
    person.ask_for_code()
    for times in (2, 3):
        person.cool_down()
        person.press("Send it again")
        if times == 3:
            person.press("I am a person")  # required from a number's third sending of the day
            person.says("Sent again. It is the same code.")
        expect(person.button(re.compile("^Send it again in"))).to_be_visible()
        assert len(person.codes) == times


def test_within_the_cooldown_the_same_number_leads_back_to_its_code(visit: Visit) -> None:
    """The page makes no second request, also after another number was refused, and shows Redis for the right one."""
    person = visit()
    person.ask_for_code()
    own, keys = person.number, person.page.locator("#redis")
    person.press("Back")
    person.press("Get a code")
    expect(person.screen("code")).to_be_visible()
    person.press("Back")
    person.number = "12"
    person.try_for_code()
    person.says(NO_NUMBER)
    expect(keys).to_have_text("Get a code, and the number’s keys are shown here.")
    person.number = own
    person.ask_for_code()
    assert len(person.codes) == 1
    expect(keys).to_contain_text(otp_key(Phone.parse(own, "CN"), "latest"))
    person.type_code(person.codes[0])
    expect(person.screen("home")).to_be_visible()


def test_a_reload_keeps_the_screen_that_waits_for_the_code(visit: Visit) -> None:
    """A phone may reload the page while its user reads the message; a reload brings no ended session back."""
    person = visit(clock=True)
    person.ask_for_code()
    person.wait(10)
    person.open()
    expect(person.button(re.compile("^Send it again"))).to_have_text(f"Send it again in {RULES.cooldown - 9} s")
    person.type_code(person.codes[0])
    expect(person.screen("home")).to_be_visible()
    person.press("Sign out")
    person.says("You are signed out.")
    person.open()
    expect(person.screen("number")).to_be_visible()
    person.cool_down()
    person.ask_for_code()
    person.wait(300)
    person.open()
    expect(person.screen("number")).to_be_visible()


def test_after_a_429_the_button_counts_retry_after_down(visit: Visit) -> None:
    """The button is disabled for Retry-After, and another number can be tried at once."""
    person, other = visit(), visit(clock=True)
    person.ask_for_code()
    own, other.number = other.number, person.number
    other.try_for_code()
    other.says(re.compile(f"^That was too often. Try again in {counting(RULES.cooldown)} s.$"))
    button = other.button(re.compile("^Get a code"))
    expect(button).to_be_disabled()
    expect(button).to_be_focused()  # a keyboard user keeps the focus
    other.page.keyboard.press("Enter")
    other.wait(10)
    expect(button).to_have_text(re.compile(rf"^Get a code \({counting(RULES.cooldown - 10)} s\)$"))
    expect(other.page.locator("#requests summary")).to_have_count(1)  # pressing it again made no request
    other.page.get_by_label("Mobile number").fill(own)
    expect(button).to_be_enabled()
    expect(button).to_have_text("Get a code")
    other.try_for_code()
    other.says("That was too often.")
    other.page.get_by_label("Country or region").select_option(label="Germany +49")
    expect(button).to_be_enabled()


FAILURES = [  # of SendSms: the switch's label, the page's words, the screen, and the number of messages that arrive
    ("Out of messages", "The message cannot be sent just now", "number", 0),
    ("Too soon", "That was too often. Try again in", "number", 0),
    ("No answer", "The message may be on its way. If it arrives, its code works", "code", 1),
    ("Broken connection", "The message may be on its way. If it arrives, its code works", "code", 0),
    ("Charset in header", "", "code", 1),
]


def test_each_failure_of_sendsms_is_explained(visit: Visit) -> None:
    """The switch makes one SMS fail; the page explains it, and if the message has arrived, its code works."""
    person = visit()
    switch = person.page.get_by_role("group", name="Sending an SMS")
    for mode, words, screen, sent in FAILURES:
        person.number = new_number()
        switch.get_by_label(mode).check()
        person.try_for_code()
        if words:
            person.says(words)
        expect(person.screen(screen)).to_be_visible()
        expect(person.page.locator(".doubt")).to_have_count(1 if words and screen == "code" else 0)
        assert len(person.codes) == sent, mode
        expect(switch.get_by_label("Normal")).to_be_checked()  # the failure was for one request
        if sent:
            person.type_code(person.codes[0])
            expect(person.screen("home")).to_be_visible()
            person.press("Sign out")
        elif screen == "code":
            person.press("Back")


def test_each_failure_of_the_captcha_is_explained(visit: Visit) -> None:
    """If the service does not answer, the ticket is refused and the page asks for another captcha."""
    person = visit(captcha=True)
    switch = person.page.get_by_role("group", name="Checking a captcha")
    for mode in ("No answer", "Broken connection", "Charset in header"):
        person.number = new_number()
        switch.get_by_label(mode).check()
        person.try_for_code()
        person.press("I am a person")
        if mode != "Charset in header":
            person.says("That ticket was not accepted. Please try again.")
            person.press("I am a person")
        expect(person.screen("code")).to_be_visible()
        person.press("Back")


def test_a_failure_mode_can_stay_until_it_is_switched_off(visit: Visit, place: Place) -> None:
    """Without "only the next time" a mode stays; the switch also shows a mode that was set elsewhere."""
    person = visit()
    person.page.get_by_label("Only the next time").uncheck()
    switch = person.page.get_by_role("group", name="Sending an SMS")
    switch.get_by_label("Out of messages").check()
    expect(switch.get_by_text("Tencent Cloud refuses: the account is out of messages.")).to_be_visible()
    assert place.tencent.failing == ("refusal", None)
    switch.get_by_label("Normal").check()
    expect(switch.get_by_text("Tencent Cloud answers normally.")).to_be_visible()
    assert place.tencent.failing == ("off", None)
    place.tencent.fail("LimitExceeded.PhoneNumberDailyLimit")
    expect(switch.get_by_text("LimitExceeded.PhoneNumberDailyLimit")).to_be_visible()


def test_a_required_captcha_is_shown_until_a_ticket_is_good(visit: Visit) -> None:
    """A bad ticket is refused and the captcha shown again, Escape leaves it, and a good ticket sends the code."""
    person = visit(captcha=True)
    person.try_for_code()
    expect(person.page.get_by_role("dialog", name="Are you a person?")).to_be_visible()
    for kind in ("Expired ticket", "Used ticket"):
        person.press(kind)
        person.says("That ticket was not accepted. Please try again.")
    person.page.keyboard.press("Escape")
    person.says("Please show that you are a person first.")
    assert person.codes == []
    person.press("Get a code")
    person.press("I am a person")
    expect(person.screen("code")).to_be_visible()
    assert len(person.codes) == 1


def test_a_reload_keeps_the_user_signed_in(visit: Visit) -> None:
    """The page keeps the refresh token, and no storage of the browser has the access token."""
    person = visit()
    person.sign_in()
    person.open()
    person.says("Welcome back!")
    kept = person.page.evaluate("JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie])")
    assert "eyJ" not in kept
    person.page.context.clear_cookies()
    person.page.evaluate("localStorage.setItem('sms-login.refreshToken', 'rt_made_up')")
    person.open()
    person.says("You are no longer signed in. Please sign in again.")
    assert person.page.evaluate("localStorage.getItem('sms-login.refreshToken')") is None


def test_an_expired_access_token_is_renewed(visit: Visit) -> None:
    """The page refreshes by itself, and the user's action succeeds."""
    person = visit(clock=True)
    person.sign_in()
    person.page.clock.fast_forward("03:00:00")
    person.page.get_by_label("Nickname").fill("小明")
    person.press("Save")
    person.says("Your nickname is saved.")
    expect(person.page.locator("#requests summary strong")).to_have_text(["setNickname", "refresh", "login", "getSms"])


def test_signing_out_everywhere_ends_the_session_of_another_device(visit: Visit) -> None:
    """After signing out on all devices, another device is signed out at its next request."""
    person, other = visit(), visit(clock=True)
    person.sign_in()
    other.number = person.number
    other.cool_down()
    other.sign_in()
    person.press("Sign out on all devices")
    person.says("You are signed out on all devices.")
    other.page.get_by_label("Nickname").fill("小明")
    other.press("Save")
    other.says("You are no longer signed in. Please sign in again.")
    expect(other.screen("number")).to_be_visible()


def test_deleting_the_account_takes_a_fresh_code(visit: Visit, place: Place) -> None:
    """The user is deleted, and the next login makes a new one."""
    person = visit(clock=True)
    person.sign_in()
    person.cool_down()
    person.press("Delete account")
    person.press("Send me a code")
    expect(person.button("Delete my account")).to_be_visible()
    person.type_code(person.wrong)
    person.says(f"That is not the code. Attempts left: {RULES.guesses - 1}.")
    person.type_code(person.codes[0])
    person.says("Your account is deleted.")
    assert place.backend.client.exists(f"user:{{+86{person.number}}}") == 0
    person.cool_down()
    person.try_for_code()
    person.press("I am a person")  # required from a number's third sending of the day
    expect(person.screen("code")).to_be_visible()
    person.type_code(person.codes[0])
    person.says("Welcome! Your account has been made.")


def test_a_nickname_is_shown_as_text(visit: Visit) -> None:
    """Markup in a nickname is never interpreted, also after a reload and in the console."""
    person = visit()
    person.sign_in()
    name = "<img src=x onerror=alert(1)><b>x"
    person.page.get_by_label("Nickname").fill(name)
    person.press("Save")
    person.says("Your nickname is saved.")
    person.open()
    expect(person.page.locator("#name")).to_have_text(name)
    expect(person.page.locator("#redis")).to_contain_text(name)
    expect(person.page.locator("main img, main b")).to_have_count(0)


def test_a_request_whose_answer_is_lost_can_be_repeated(visit: Visit) -> None:
    """A repeated request carries the same Idempotency-Key, and a new request a new one."""
    person = visit()
    person.lost = True
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
    expect(person.screen("code")).to_be_visible()
    assert len(person.codes) == 1
    person.type_code(person.codes[0])
    person.says("No connection. Check your network and try again.")
    person.press("Sign in")
    person.says("Welcome! Your account has been made.")
    assert keys[0] == keys[1]
    assert keys[2] == keys[3]
    assert keys[0].split()[1] != keys[2].split()[1]


def test_a_refresh_whose_answer_is_lost_is_repeated_at_once(visit: Visit) -> None:
    """Later, the same refresh token would count as copied, and end the session."""
    person = visit()
    person.sign_in()
    person.lost = True
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


def test_without_the_gateway_a_switch_keeps_its_state(visit: Visit) -> None:
    """A switch shows only a mode that was set, and a captcha that cannot be opened is asked for again."""
    person = visit(captcha=True)
    person.lost = True
    person.page.route(
        "**/_local/*", lambda route: route.abort() if route.request.method == "POST" else route.continue_()
    )
    switch = person.page.get_by_role("group", name="Sending an SMS")
    switch.get_by_label("Out of messages").click()
    expect(switch.get_by_label("Normal")).to_be_checked()
    person.try_for_code()
    person.press("I am a person")
    person.says("That ticket was not accepted.")


def test_a_start_without_a_network_keeps_the_user_signed_in(visit: Visit) -> None:
    """Without a network, the page keeps the session and offers a button to try again."""
    person = visit()
    person.sign_in()
    person.lost = True
    person.page.route(person.url, lambda route: route.abort() if route.request.method == "POST" else route.continue_())
    person.page.goto(person.url)
    person.says("No connection. Check your network and try again.")
    person.page.unroute(person.url)
    person.press("Try again")
    person.says("Welcome back!")


OTP = """
    window.OTPCredential = class {};
    navigator.credentials.get = (options) => new Promise((resolve) => {
        window.asked = options.otp.transport;
        window.signal = options.signal;
        window.deliver = (code) => resolve({ code });
    });
"""


def test_a_browser_with_webotp_fills_in_the_code(visit: Visit) -> None:
    """The page stops listening when the user leaves the screen."""
    person = visit(prepare=OTP)
    person.ask_for_code()
    assert person.page.evaluate("[window.asked, window.signal.aborted]") == [["sms"], False]
    person.press("Back")
    assert person.page.evaluate("window.signal.aborted") is True
    person.press("Get a code")
    expect(person.screen("code")).to_be_visible()
    person.page.evaluate("(code) => window.deliver(code)", person.codes[0])
    expect(person.screen("home")).to_be_visible()


def test_the_country_picker_sets_the_calling_code(visit: Visit) -> None:
    """The allowed countries come first. A number that begins with + has its own calling code."""
    person = visit()
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
    person.page.get_by_label("Mobile number").fill(f"+86 {person.number}")
    person.press("Get a code")
    expect(person.screen("code")).to_be_visible()


def test_the_page_works_by_keyboard_alone(visit: Visit) -> None:
    """From the number to signing out, the focus moves to the next step."""
    person = visit()
    page, press = person.page, person.page.keyboard.press
    page.get_by_label("Country or region").focus()
    press("Tab")
    expect(page.get_by_label("Mobile number")).to_be_focused()
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


def test_the_page_speaks_both_languages(visit: Visit) -> None:
    """The page begins in the browser's language; a button changes all texts, and a reload keeps the choice."""
    person = visit(locale="zh-CN")
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
    person.open()
    person.sign_in()
    expect(page.get_by_role("button", name="中文")).to_be_visible()
    empty = page.locator("[data-text]").evaluate_all("all => all.filter((one) => !one.textContent).length")
    assert empty == 0


def test_the_page_has_every_error_calling_code_and_failure_mode_of_the_function(visit: Visit) -> None:
    """The page has texts in both languages for each codeStr, with the same placeholders."""
    page = visit().page
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


FLOWS = [  # with a purpose, its words in a message, and those of its screens in the language of the page
    (
        "resetPassword",
        "重置密码",
        ["Reset a password", "Send me a code", "Confirm", "Done", "Your number is confirmed"],
    ),
    ("pay", "付款", ["确认付款", "发送验证码", "确认", "完成", "号码已验证"]),
]
RECTANGLES = """[".digits", "#code .primary", ".arrived", "#language"].map(
    (name) => document.querySelector(name).getBoundingClientRect().toJSON())"""


def test_the_page_fits_a_phone_of_360_pixels(visit: Visit) -> None:
    """The user never scrolls sideways, the phone's screen fills the window, and a message covers no button."""
    person = visit(viewport={"width": 360, "height": 740}, has_touch=True, is_mobile=True)
    page = person.page

    def fits(screen: str) -> None:
        expect(person.screen(screen)).to_be_visible()
        for _ in ("one language", "the other"):
            assert not person.overflows(), screen
            box = page.locator(".display").bounding_box()
            assert box
            assert (box["width"], box["height"] >= 660) == (360, True)
            person.press_language()

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


def test_a_code_confirms_a_password_reset_and_a_payment(visit: Visit) -> None:
    """The message has the purpose's own words, the user stays signed in, and the page shows the proof's claims."""
    person = visit()
    person.sign_in()
    for purpose, text, (flow, send, confirm, done, proved) in FLOWS:
        person.backend.age(RULES.cooldown + 1)
        person.press(flow)
        person.press(send)
        if purpose == "pay":  # the third message of a day to a number
            person.page.locator("#captcha [data-kind=good]").click()
        expect(person.page.locator(".arrived .text")).to_contain_text(text)
        expect(person.screen("code").locator("h2")).to_have_text(flow)
        expect(person.button(confirm)).to_be_enabled()
        person.page.locator("#digits").fill(person.codes[0])
        expect(person.screen("proof").locator("h2:visible")).to_have_text(proved)
        claims = dict(
            zip(*(person.page.locator(f"#claims {kind}").all_inner_texts() for kind in ("dt", "dd")), strict=True)
        )
        detail = {"detail": bound(purpose, "order 4711, 99.00 CNY").detail} if purpose == "pay" else {}
        wanted = {"purpose": purpose, "phone": f"+86{person.number}", "amr": "sms", "jti": claims["jti"]}
        assert claims == {**wanted, **detail}
        if purpose == "pay":  # whose proof has the most claims
            assert person.violations(within=".phone") == ""
        person.press(done)
        expect(person.screen("home")).to_be_visible()
        person.press_language()
    assert "proof" in person.page.locator("#requests").inner_text()
    assert not re.search(r"eyJ[\w-]{20}", person.page.locator("#requests").inner_text())


def test_a_code_for_a_payment_can_be_sent_again_and_given_up(visit: Visit) -> None:
    """A resend repeats the code of the flow, going back leads to its screen, and a dead code is replaced."""
    person = visit(clock=True)
    person.sign_in()
    person.cool_down()
    person.press("Confirm a payment")
    person.press("Send me a code")
    expect(person.screen("code")).to_be_visible()
    person.cool_down()
    person.press("Send it again")
    person.press("I am a person")
    person.says("Sent again. It is the same code.")
    assert person.codes[0] == person.codes[1]
    person.press("Back")
    expect(person.screen("flow").locator("h2")).to_have_text("Confirm a payment")
    person.press("Send me a code")
    expect(person.screen("code")).to_be_visible()
    person.spend_guesses(person.wrong)
    person.cool_down()
    person.press("Send a new code")
    person.press("I am a person")
    person.says("A new code is on its way.")
    person.type_code(person.codes[0])
    expect(person.screen("proof")).to_be_visible()


def test_a_person_changes_their_number(visit: Visit) -> None:
    """A code to the present number, then one to the new number; the account stays, and a taken number is refused."""
    person, other = visit(), visit()
    other.sign_in()
    person.sign_in()
    person.page.get_by_label("Nickname").fill("小明")
    person.press("Save")
    person.says("Your nickname is saved.")
    before, old = person.page.locator("#own-number").inner_text(), person.number
    for number in (other.number, new_number()):
        person.backend.age(RULES.cooldown + 1)
        person.number = old
        person.press("Change the number")
        person.press("Send me a code")
        if number != other.number:  # the third message of a day to the number
            person.press("I am a person")
        expect(person.screen("code")).to_be_visible()
        person.type_code(person.codes[0])
        expect(person.screen("new-number")).to_be_visible()
        if number == other.number:
            assert person.violations(within=".phone") == ""
        person.press("Send me a code")
        person.says("Enter your mobile number.")
        person.number = number
        person.page.get_by_label("New number").fill(number)
        person.press("Send me a code")
        expect(person.screen("code")).to_be_visible()
        person.type_code(person.codes[0])
        if number == other.number:
            person.says("This number has an account already.")
            person.press("Back")
            person.press("Back")
    person.says("Your number is changed, and all other devices are signed out.")
    expect(person.page.locator("#name")).to_have_text("小明")
    assert person.page.locator("#own-number").inner_text() != before
    person.press("Sign out")
    person.says("You are signed out.")


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
    expect(person.page.get_by_role("dialog")).to_be_visible()
    look(".phone")
    person.press("I am a person")
    expect(person.page.locator(".arrived")).to_be_visible()
    look(".phone")
    person.type_code(person.wrong)
    person.says("That is not the code.")
    expect(person.page.locator("#requests .result.refused")).to_have_count(2)
    look()
    person.type_code(person.codes[0])
    expect(person.screen("home")).to_be_visible()
    look(".phone")
    person.press("Delete account")
    person.press("Send me a code")
    person.says("That was too often.")
    look(".phone")
    assert found == [""] * 12


def test_the_tests_find_violations_and_foreign_requests_if_there_are_some(visit: Visit) -> None:
    """They are blind neither to a picture without a description and grey text on grey, nor to another host."""
    person = visit()
    person.page.evaluate("document.body.append(new Image())")
    person.page.evaluate("document.querySelector('#number h2').style.color = 'lightgrey'")
    report = person.violations("image-alt", "color-contrast")
    assert ("image-alt" in report, "color-contrast" in report) == (True, True)
    with person.page.expect_console_message():
        person.page.evaluate("new Image().src = 'http://example.com/'")
    assert "example.com" in person.problems.pop()
