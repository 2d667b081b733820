"""The figures of Tencent Cloud that change no more, in a file."""

import json
import os
from contextlib import suppress
from pathlib import Path

from sms_admin.statistics.spans import Span

Sums = dict[str, int]


class Cache:
    """The sums of closed spans of an application, in a file in $XDG_CACHE_HOME/sms-admin."""

    def __init__(self, application: str, action: str) -> None:
        root = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
        self._path = Path(root, "sms-admin", f"{action}-{application}.json")
        self._kept: dict[str, Sums] = {}
        self._changed = False

        with suppress(OSError, ValueError):
            self._kept = json.loads(self._path.read_text())

    def write(self) -> None:
        """Write the file, if there is anything new."""
        if not self._changed:
            return
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        beside = self._path.with_suffix(f".{os.getpid()}")
        beside.write_text(json.dumps(self._kept))
        beside.replace(self._path)  # at once: another command may read it

    def get(self, span: Span) -> Sums | None:
        """Return the sums of a span, None if they are not kept."""
        return self._kept.get(f"{span.begin}-{span.end}")

    def put(self, span: Span, sums: Sums) -> None:
        """Keep the sums of a span."""
        self._kept[f"{span.begin}-{span.end}"] = sums
        self._changed = True
