"""The file with the function's environment while `make run` runs, for the operator's commands: `make admin`."""

import contextlib
import os
import re
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from sms_login.settings.settings import TABLE

_PATH = Path(__file__).parents[1] / ".env.run"  # git ignores it
_KEYS = ("TENCENTCLOUD_SECRETID", "TENCENTCLOUD_SECRETKEY", "TENCENTCLOUD_SESSIONTOKEN")
_OPERATORS = ("ADMIN_ENDPOINT", "BULK_SDKAPPID")  # settings of the operator's commands alone


@contextlib.contextmanager
def env_file(environ: Mapping[str, str]) -> Iterator[None]:
    """Keep a file with the settings and keys of an environment; only its owner may read it, since it has secrets.

    RUN_ENV_FILE names another file. A second run takes the file over, and then the first one leaves it alone. What is
    there and is not a regular file, such as a device, stays as it is, and no file is kept.
    """
    path = Path(environ.get("RUN_ENV_FILE") or _PATH)
    if path.is_symlink() or (path.exists() and not path.is_file()):
        yield
        return
    names = [*(setting.name for setting in TABLE), *_KEYS, *_OPERATORS]
    text = "".join(f'{name}="{_escaped(environ[name])}"\n' for name in names if environ.get(name))
    descriptor, new = tempfile.mkstemp(dir=path.parent, prefix=f"{path.name}.")  # readable for its owner
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    Path(new).replace(path)  # at once, since two may start together
    try:
        yield
    finally:
        if path.is_file() and path.read_text(encoding="utf-8") == text:
            path.unlink()


def _escaped(value: str) -> str:
    """Return a value for double quotes, as `sms_admin.env_file` reads them; a key in PEM has line breaks."""
    return re.sub(r'["\\]', r"\\\g<0>", value).replace("\n", "\\n").replace("\r", "\\r")
