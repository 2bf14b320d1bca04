#!/usr/bin/env bash
# Sets up KernelFactory in a virtual environment: `scripts/setup.sh run|dev [folder]`.
# Needs python3 >= 3.11 with venv; no root, no compiler. Uses uv where it is installed, pip otherwise.
set -euo pipefail
cd "$(dirname "$0")/.."

purpose=${1:?usage: scripts/setup.sh run|dev [folder]}
venv=${2:-.venv}
python=${PYTHON:-python3}
case $purpose in
    run) lock=requirements.lock ;;
    dev) lock=requirements/dev.lock ;;
    *) echo "setup: unknown purpose '$purpose': run or dev" >&2; exit 2 ;;
esac

say() { printf 'setup: %s\n' "$*" >&2; }
fail() { say "$*"; exit 2; }

command -v "$python" >/dev/null || fail "$python is not there: install Python 3.11 or newer, or name one: make PYTHON=/path/to/python3 …"
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
    fail "$("$python" -V) is too old: Python 3.11 or newer is needed; name one: make PYTHON=python3.12 …"
command -v git >/dev/null || fail "git is not there: install it with your system's packages"

uv=$(command -v uv || true)
if [ ! -x "$venv/bin/python" ]; then
    say "making $venv"
    if [ -n "$uv" ]; then
        "$uv" venv --quiet --python "$python" "$venv"
    else
        "$python" -m venv "$venv" || fail "$python has no venv module: on Debian or Ubuntu install python3-venv"
    fi
fi

install() { # install [requirements arguments…]
    if [ -n "$uv" ]; then
        "$uv" pip install --quiet --python "$venv/bin/python" "$@"
    else
        "$venv/bin/python" -m pip install --quiet --disable-pip-version-check "$@"
    fi
}

say "installing what $lock lists"
install --require-hashes --requirement "$lock"
install --no-deps --no-build-isolation --editable .

if ! command -v cc >/dev/null && ! "$venv/bin/python" -c 'import ziglang' 2>/dev/null; then
    say "no C compiler here: trying one from the package index"
    install --require-hashes --requirement requirements/zig.lock ||
        say "it did not install: the judge will use its pure-Python simulator, which is exact but slow"
fi
"$venv/bin/python" -m kernelfactory.core.build ||
    say "the C core did not build: the judge will use its pure-Python simulator, which is exact but slow"
say "ready"
