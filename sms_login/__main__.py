"""Names the command that took the place of `python -m sms_login`. Not deployed."""

import sys

if __name__ == "__main__":
    sys.stderr.write("The command has moved: python -m sms_admin check\n")
    sys.exit(2)
