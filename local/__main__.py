"""Run the whole login on this machine: ``python -m local``, or ``PORT=9001 CODE_TTL=60 python -m local``.

The function's own handler, store and SDK run unchanged; this package provides only Redis, unless REDIS_HOST names one,
and a stand-in for Tencent Cloud. Pages of this machine and of the local network may call, and the limits of one's own
address and range of numbers are high, unless ``--production-limits`` asks for the deployed function's. Ctrl-C or
SIGTERM ends it.
"""

import argparse
import contextlib
import io
import os
import re
import signal
import sys
import threading
from collections.abc import Mapping
from urllib.parse import urlencode

from local import redis_view
from local.cloud import Cloud, local_cloud
from local.env_file import env_file
from local.failures import MODES
from local.gateway import Gateway
from local.inbox import Message
from local.origins import LocalOrigins
from local.receipts import FATES
from local.redis_server import redis_server
from sms_login import wiring
from sms_login.http.wsgi import cannot_listen, port_of
from sms_login.settings.reader import ConfigError

PHONE = "8613800138000"
# An app's test suite asks for many codes from one address, often for numbers that follow one another.
LIMITS = dict.fromkeys(
    (
        *("IP_HOURLY_LIMIT", "IP_DAILY_LIMIT", "IP_GUESS_LIMIT", "IP_REFUSED_LIMIT"),
        *("RANGE_HOURLY_LIMIT", "RANGE_DAILY_LIMIT", "RANGE_DAILY_BUDGET"),
    ),
    "10000",  # as many as DAILY_BUDGET lets out
)

BANNER = """
sms-login runs at {url}/ on your own machine. No SMS is sent: messages are printed here.
{trouble}
Open {url}/ in a browser, or log in in another terminal:
  curl -s {url}/ -H 'Content-Type: application/json' -d '{{"method": "getSms", "phone": "+{phone}"}}'
  curl -s {url}/ -d method=login -d phone={phone} -d code=$({read_code})

Inbox:    {url}/_local/inbox
Redis:    {url}/_local/redis?phone={phone}
Captcha:  curl -X POST {url}/_local/captcha
Operator: make admin ARGS="check"
Failures: curl -X POST '{url}/_local/fail?mode=timeout&times=1'
          mode is {modes}, or a code of Tencent Cloud
Receipts: curl -X POST '{url}/_local/fail?action=Receipt&mode=unreachable&times=1'
          mode is {fates}
Stop:     Ctrl-C
"""
# The newest message comes first, and the code is its only word of six digits: no JSON parser is needed.
READ_CODE = "curl -s '{url}/_local/inbox?phone={phone}' | grep -owE '[0-9]{{6}}' | head -n 1"


def main() -> None:
    """Run until Ctrl-C or SIGTERM; exits with code 1 and one sentence if the settings or the port cannot be used."""
    parser = argparse.ArgumentParser(prog="python -m local", description="Run the whole login on this machine.")
    parser.add_argument(
        "--production-limits",
        action="store_true",
        help="keep the limits of the deployed function for one's own address",
    )
    limits = {} if parser.parse_args().production_limits else LIMITS
    environ = {**limits, **{name: value for name, value in os.environ.items() if value}}
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a message may be Chinese and the terminal ASCII
    with contextlib.suppress(KeyboardInterrupt), local_cloud(environ, redis=redis_server, on_message=show) as cloud:
        serve(cloud)


def serve(cloud: Cloud) -> None:
    """Serve the function, in the environment of ``cloud``, until KeyboardInterrupt."""
    os.environ.clear()
    os.environ.update(cloud.environ)
    app = assemble(cloud.environ)
    port = port_of(os.environ)
    try:
        gateway = Gateway(app.handle, cloud.tencent, port=port)
    except OSError as error:
        sys.exit(cannot_listen(port, error))
    with gateway, env_file(cloud.environ):
        callback = {"method": "smsReceipt", "key": os.environ["SMS_RECEIPT_KEY"]}
        cloud.tencent.receipts.callback = f"{gateway.url}/?{urlencode(callback)}"
        say(banner(gateway.url, redis_view.trouble(cloud.environ)))
        try:
            threading.Event().wait()
        finally:
            cloud.tencent.close()  # before the gateway, which waits for requests that hang in SendSms


def assemble(environ: Mapping[str, str]) -> wiring.Handler:
    """Return the function; exit with code 1 and the problems by name if its settings are wrong."""
    try:
        return wiring.assemble(environ, origins=LocalOrigins)
    except ConfigError as error:
        # Running locally needs no build: a missing library is installed for the Python that runs this.
        install = rf"{os.path.relpath(sys.executable)} -m pip install --no-deps --require-hashes -r requirements/\1.txt"
        sys.exit("Cannot run: " + re.sub("make build WITH=([a-z]+)", install, str(error)))


def banner(url: str, trouble: str = "") -> str:
    """Return the text printed at the start: how to log in, read inbox and Redis, get a ticket and make calls fail."""
    return BANNER.format(
        url=url,
        phone=PHONE,
        read_code=READ_CODE.format(url=url, phone=PHONE),
        modes=", ".join(MODES),
        fates=", ".join(FATES),
        trouble=trouble and f"{trouble}\n",
    )


def show(message: Message) -> None:
    """Print one SMS."""
    say(f"{'Call' if message.channel == 'voice' else 'SMS'} to {message.phone}: {message.text}")


def say(text: str) -> None:
    """Print immediately, into a pipe too, and atomically, from several threads too."""
    print(f"{text}\n", end="", flush=True)


if __name__ == "__main__":
    main()
