"""The evaluation engine: suites in, scores out. Nothing here knows about Dagster."""
