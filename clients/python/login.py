"""A whole login in a terminal: python login.py [URL PHONE]."""

import sys
from concurrent.futures import ThreadPoolExecutor

from client import SmsLogin, countdown

url, phone = sys.argv[1:] or ("http://127.0.0.1:9000", "+8613800138000")
login = SmsLogin(url, None, lambda _tokens: None)  # a program that runs again keeps the tokens

sent = login.send_code(phone)
for left in countdown(sent["resendAfter"]):
    print(f"Send again in {left} s")
sent = login.send_code(phone, sessionId=sent["sessionId"])
login.log_in(phone, input("Code: "), sent["sessionId"])

# Both at once: one of them refreshes if the token has expired.
with ThreadPoolExecutor() as threads:
    user, _ = threads.map(login.call, ["getUserInfo", "getUserInfo"])
print(f"Signed in as {user['phone']}")
login.log_out()
