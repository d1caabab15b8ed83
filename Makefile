# Nothing but Python (3.10–3.13) and make is needed; uv is used where it is there, because it is quicker.
# Everything is installed from the lock files, by hash, into .venv.

SHELL := /bin/sh
VENV := .venv
PY := $(VENV)/bin/python
EVALOPS := $(PY) -m evalops_dagster.cli
DEMO_EXIT ?=

# Two targets at once would install at once.
.NOTPARALLEL:

.PHONY: help demo dev test check format audit test-ranges lock bench bench-peers clean

help:  ## show what there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-11s %s\n", $$1, $$2 }' Makefile

demo: $(VENV)/.runtime  ## evaluate the shipped suites on the embedded model and show them (DEMO_EXIT=1: then end)
	@$(EVALOPS) demo $(if $(DEMO_EXIT),--exit)

dev: $(VENV)/.runtime  ## start EvalOps and its UI
	@$(EVALOPS) dev

test: $(VENV)/.dev  ## run the tests
	@$(EVALOPS) model fetch
	@sh scripts/test.sh

check: $(VENV)/.dev  ## format, lint, types, import contracts
	$(PY) -m ruff format --check .
	$(PY) -m ruff check .
	$(PY) -m pyright
	$(PY) -c 'import sys; from importlinter.cli import lint_imports_command as lint; sys.exit(lint())'

format: $(VENV)/.dev  ## format and mend what can be mended
	$(PY) -m ruff format .
	$(PY) -m ruff check --fix .

audit: $(VENV)/.dev  ## ask for known vulnerabilities of what the locks list
	$(PY) scripts/audit.py

test-ranges:  ## run tests with the bounds of the ranges (PYTHON=3.10 RESOLUTION=lowest-direct; needs uv)
	@sh scripts/ranges.sh

bench: $(VENV)/.dev  ## measure what EvalOps costs, in about a minute
	$(PY) -m benchmarks bench

bench-peers: $(VENV)/.dev  ## measure other tools beside it; installs them into BENCH_HOME
	$(PY) -m benchmarks peers --install

lock:  ## resolve the dependencies anew (needs uv)
	uv pip compile pyproject.toml --universal --python-version 3.10 --extra local --extra build --generate-hashes --no-annotate \
	  --no-header --upgrade -q -o locks/runtime.txt
	uv pip compile pyproject.toml --universal --python-version 3.10 --extra dev --generate-hashes --no-annotate \
	  --no-header --upgrade -q -c locks/runtime.txt -o locks/dev.txt
	uv pip compile pyproject.toml --universal --python-version 3.10 --extra celery --extra k8s --extra docker --extra build \
	  --generate-hashes --no-annotate --no-header --upgrade -q -c locks/runtime.txt -c locks/dev.txt -o locks/server.txt

clean:  ## remove what was installed and built here; the data in EVALOPS_HOME stays
	rm -rf $(VENV) $(VENV).lock dist build .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	rm -rf storage logs history schedules .telemetry .logs_queue .nux
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Made anew where the Python that it was made with is gone.
$(PY):
	@sh scripts/install.sh

$(VENV)/.runtime: $(PY) locks/runtime.txt pyproject.toml
	@sh scripts/install.sh locks/runtime.txt
	@touch $@

$(VENV)/.dev: $(PY) locks/dev.txt pyproject.toml
	@sh scripts/install.sh locks/dev.txt
	@touch $@ $(VENV)/.runtime
