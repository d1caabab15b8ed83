"""EvalOps in Dagster and on the command line. Importing this package imports nothing else: `--help` is quick."""
