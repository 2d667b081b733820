"""The API description (OpenAPI 3.1), made of the function's types. Never deployed; `python -m openapi` writes it."""
