"""Tests mirror the source: tests/store/test_runs.py proves evalops_core/store/runs.py."""
