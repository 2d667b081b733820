"""Tencent Cloud's APIs, through its SDK."""
