#!/bin/sh
# Installs this project with the lowest or highest versions that its ranges allow, for one Python, and runs the tests
# that need no model, no browser and no processes of their own. The venv is made outside this folder, anew each time.
#
#   PYTHON=3.10 RESOLUTION=lowest-direct scripts/ranges.sh [tests/…]
#
# RESOLUTION is uv's: lowest-direct (the lower bounds of pyproject.toml, what they need as new as it gets) or highest.
# Needs uv, and for a PYTHON that is not installed the network; RANGES_HOME is where the venv goes.
set -eu
cd "$(dirname "$0")/.."
unset PYTHONHOME PYTHONPATH VIRTUAL_ENV
python=${PYTHON:-3.10}
resolution=${RESOLUTION:-lowest-direct}
uv=${UV:-uv}
command -v "$uv" >/dev/null || { echo "error: this needs uv (https://docs.astral.sh/uv); UV names it" >&2; exit 2; }
venv=${RANGES_HOME:-${TMPDIR:-/tmp}/evalops-ranges}/$(basename "$python")-$resolution

"$uv" venv --quiet --clear --python "$python" "$venv"
"$uv" pip install --quiet --python "$venv/bin/python" --resolution "$resolution" --editable '.[dev]'
"$venv/bin/python" --version
"$uv" pip freeze --quiet --python "$venv/bin/python" | grep -v '^-e' >"$venv/installed.txt"
echo "installed: $(wc -l <"$venv/installed.txt") packages, listed in $venv/installed.txt"
[ $# -gt 0 ] || set -- tests/domain tests/suites tests/scorers tests/providers tests/store tests/run tests/mail \
    tests/trend tests/traces tests/wiring tests/cli tests/location
exec "$venv/bin/python" -m pytest -m 'not process and not model' -p no:cacheprovider "$@"
