"""The cost of a login: ratios measured in one run, each beside its target. `python -m benchmarks`."""
