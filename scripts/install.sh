#!/bin/sh
# Finds a Python of 3.10 to 3.13 (PYTHON names one) and has it install what the lock file $1 lists; see install.py.
set -eu
unset PYTHONHOME PYTHONPATH
lock=${1:-}

if [ -n "${PYTHON:-}" ]; then set -- "$PYTHON"
else set -- python3 python3.13 python3.12 python3.11 python3.10 python .venv/bin/python; fi
seen=
for python; do
    if "$python" -c 'import sys, venv, ensurepip; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null
    then exec "$python" scripts/install.py ${lock:+"$lock"}; fi
    version=$("$python" --version 2>&1) && seen="$seen${seen:+, }$python is $version"
done
echo "error: this needs a Python of 3.10 to 3.13 with its venv module, and none was found" \
    "(${seen:-there is no ${PYTHON:-python3}}); install one (on Debian and Ubuntu: apt-get install python3 python3-venv)," \
    "or name it: make PYTHON=/path/to/python3.12 …" >&2
exit 2
