#!/bin/sh
# All tests, as two runs of pytest beside each other: those that start processes and wait for them, and the others, which
# take what these leave of the machine. What the first says comes when both have ended.
set -u
cd "$(dirname "$0")/.."
python=.venv/bin/python
waiting="tests/acceptance"
said=$(mktemp)
trap 'rm -f "$said"' EXIT
# shellcheck disable=SC2086  # a list of folders
$python -m pytest $waiting >"$said" 2>&1 &
first=$!
trap 'kill -INT "$first" 2>/dev/null' INT TERM
ignored=$(printf -- '--ignore=%s ' $waiting)
failed=0
# shellcheck disable=SC2086
nice -n 3 $python -m pytest $ignored tests || failed=$?
wait "$first" || failed=$?
cat "$said"
exit "$failed"
