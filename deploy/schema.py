"""serverless.yml against its schema, serverless.schema.yml."""

from functools import cache
from pathlib import Path
from typing import Any

import jsonschema_rs
import yaml

from deploy.env import UNSET


def problems(document: Any) -> list[str]:
    """Return the errors in a file whose references are resolved, each as "path: message" without the wrong value."""
    # `resolve` has reported the variables that are not set.
    errors = (error for error in _validator().iter_errors(document) if error.instance != UNSET)
    return [f"{'.'.join(map(str, error.instance_path)) or 'the file'}: {error.message}" for error in errors]


@cache
def _validator() -> jsonschema_rs.Validator:
    text = Path(__file__).with_name("serverless.schema.yml").read_text(encoding="utf-8")
    schema = yaml.load(text, yaml.CSafeLoader)
    return jsonschema_rs.validator_for(schema, mask="the value")
