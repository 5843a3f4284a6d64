#!/bin/sh
# Create .venv from the hash-pinned lock. Usage: envs/setup.sh [PYTHON]; called by make.
set -eu
cd "$(dirname "$0")/.."
python=${1:-python3}
# An old .venv must not build the new one.
PATH=$(printf '%s' "$PATH" | tr ':' '\n' | grep -vxF "$PWD/.venv/bin" | paste -sd: -)
unset VIRTUAL_ENV PYTHONPATH PYTHONHOME 2>/dev/null || true
command -v "$python" >/dev/null 2>&1 || {
    echo "hopecho: '$python' not found; install Python 3.11-3.13 or run: make PYTHON=/path/to/python3" >&2
    exit 1
}
"$python" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' || {
    echo "hopecho: $("$python" --version 2>&1) is not supported; Python 3.11-3.13 is: make PYTHON=python3.13" >&2
    exit 1
}
"$python" -c 'import ensurepip, venv' 2>/dev/null || {
    echo "hopecho: the venv module is missing; on Debian: apt-get install python3-venv" >&2
    exit 1
}
rm -rf .venv
"$python" -m venv .venv
echo "hopecho: installing the locked environment into .venv (about a minute)" >&2
.venv/bin/python -m pip install --quiet --disable-pip-version-check --prefer-binary --require-hashes -r requirements.lock
.venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
cp requirements.lock .venv/installed.lock
