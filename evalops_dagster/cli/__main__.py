"""`python -m evalops_dagster.cli` is `evalops`; it works where a path with spaces breaks a script's first line."""

from evalops_dagster.cli import main

if __name__ == "__main__":
    main()
