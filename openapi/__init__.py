"""The API description (OpenAPI 3.1), generated from the function's types by `python -m openapi`. Never deployed."""
