"""The page at ``/``: the files of local/page, to browsers, with headers that keep it to itself."""

from pathlib import Path
from typing import Any

_TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
_HEADERS = {
    # Nothing from another address, nothing inline, and in nobody's frame.
    "Content-Security-Policy": "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",  # whoever edits a file sees it at the next reload
}
# What may be asked for, and nothing else: a path is looked up here, never put together.
_FILES = {f"/page/{file.name}": file for file in Path(__file__).with_name("page").iterdir() if file.suffix in _TYPES}


def page_file(event: dict[str, Any]) -> dict[str, Any] | None:
    """Return the answer with the file that an event asks for, or None if what it asks for is not the page's.

    ``/`` is the function's: the page answers only a browser that opens it (``Accept: text/html``) and names no method.
    """
    path = event["path"]
    if event["httpMethod"] not in {"GET", "HEAD"}:
        return None
    if path == "/" and "text/html" in event["headers"].get("accept", "") and "method" not in event["queryString"]:
        path = "/page/index.html"
    file = _FILES.get(path)
    if file is None:
        return None
    return {
        "isBase64Encoded": False,
        "statusCode": 200,
        "headers": {"Content-Type": f"{_TYPES[file.suffix]}; charset=utf-8", **_HEADERS},
        "body": file.read_text(encoding="utf-8"),
    }
