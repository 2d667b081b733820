"""`stats` and `alerts`: the login's own counts in Redis, beside the figures of Tencent Cloud."""
