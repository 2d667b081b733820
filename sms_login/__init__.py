"""Sign people in with an SMS code, as one serverless function on Tencent Cloud."""

__version__ = "0.2.0"
