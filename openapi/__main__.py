"""Write docs/openapi.json."""

from pathlib import Path

from openapi.document import as_json

Path(__file__).parent.parent.joinpath("docs", "openapi.json").write_text(as_json(), encoding="utf-8")
