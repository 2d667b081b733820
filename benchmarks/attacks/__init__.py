"""One day of the service under attack, simulated on the product's own code.

The clock jumps from event to event; a refused caller waits for `retryAfter`. All is drawn from fixed seeds, and happens
at full seconds. Settings are the defaults, except for DAILY_BUDGET=50000.

- **The attacker** has addresses of his own, knows every rule, and always acts as early as the limits allow. All his
  guesses are wrong: they are counted, and their number gives the chance of a right one. Attacks on many numbers also
  guess, without its session, at each code that an honest user requests: the attacker learns of it at that moment.
- **A million numbers** are any on the mainland; **a block** is ten ranges of ten thousand numbers each.
- **Own phones** are twenty whose messages he reads. They request codes, log in, and repeat the login under its
  Idempotency-Key, while he sends to others: a faulty limit might refund more than was reserved.
- **Honest users**: 10,000, most of them in the evening, on numbers drawn from the whole mainland, behind 20 addresses.
  Each asks for a code and logs in 5 to 60 s later with its session; 5 % never do, 5 % mistype once. A user
  is hindered if anything is refused or the code is spoiled. Honest users solve a captcha in 10 s; the attacker cannot.
- **The demo's rules** are those of Tencent's demo of 2024. They have no end, so the attacker has one: a request a
  second from each address, 200 guesses of them at one moment. An hour is simulated, and taken times 24. Limits of
  Tencent Cloud SMS itself are left out, there and here.
"""
