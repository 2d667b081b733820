"""Sign people in with an SMS code, as one serverless function on Tencent Cloud."""

__version__ = "1.0.0"
