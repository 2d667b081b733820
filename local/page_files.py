"""The page at ``/``: the files of local/page, for browsers, with headers that isolate it."""

from pathlib import Path
from typing import Any

_TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
_HEADERS = {
    # Nothing from other origins, nothing inline, no framing.
    "Content-Security-Policy": "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
_KEPT = "private, max-age=10"  # opening the page again soon fetches no file again; an edited one shows after 10 s
# Every file that is served: a path is looked up here, never joined to a directory.
_FILES = {f"/page/{file.name}": file for file in Path(__file__).with_name("page").iterdir() if file.suffix in _TYPES}


def page_file(event: dict[str, Any]) -> dict[str, Any] | None:
    """Return the answer with the requested file, or None if the path is not the page's.

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
    headers = {
        "Content-Type": f"{_TYPES[file.suffix]}; charset=utf-8",
        "Cache-Control": "no-store" if file.suffix == ".html" else _KEPT,  # at / the function answers, too
        **_HEADERS,
    }
    return {
        "isBase64Encoded": False,
        "statusCode": 200,
        "headers": headers,
        "body": file.read_text(encoding="utf-8"),
    }
