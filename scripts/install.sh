#!/bin/sh
# Installs the locked packages of the file $1, each checked by its hash, and this project into .venv.
# Works with nothing but a Python of 3.10–3.13 (PYTHON names one); uses uv where it is there.
set -eu
lock=$1
venv=.venv

usable() {
    "$1" -c 'import sys, venv, ensurepip; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))' >/dev/null 2>&1
}

if [ ! -x "$venv/bin/python" ] || ! usable "$venv/bin/python"; then
    for python in ${PYTHON:-python3 python3.13 python3.12 python3.11 python3.10 python}; do
        if usable "$python"; then found=$python; break; fi
    done
    if [ -z "${found:-}" ]; then
        echo "error: no Python of 3.10 to 3.13 with its venv module was found; install one (on Debian and Ubuntu:" \
            "apt-get install python3 python3-venv), or name it: make PYTHON=/path/to/python3.12 …" >&2
        exit 2
    fi
    echo "creating $venv with $("$found" --version)"
    "$found" -m venv "$venv"
fi

echo "installing what $lock lists (a few minutes the first time) …"
if command -v uv >/dev/null 2>&1; then
    uv pip install --quiet --python "$venv/bin/python" --require-hashes -r "$lock"
    uv pip install --quiet --python "$venv/bin/python" --no-deps --no-build-isolation --editable .
else
    export PIP_DISABLE_PIP_VERSION_CHECK=1
    "$venv/bin/python" -m pip install --quiet --require-hashes -r "$lock"
    "$venv/bin/python" -m pip install --quiet --no-deps --no-build-isolation --editable .
fi
