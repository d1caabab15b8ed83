"""Measurements; never part of the tests. `python -m benchmarks --help` says what there is."""
