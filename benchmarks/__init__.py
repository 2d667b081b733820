"""What a login costs: ratios measured in one run, each beside its target. `python -m benchmarks`."""
