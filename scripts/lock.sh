#!/usr/bin/env bash
# Writes the hashed lock files from pyproject.toml. Needs uv; nobody else does.
# They name versions and hashes only, never where to fetch them from.
set -euo pipefail
cd "$(dirname "$0")/.."

lock() { # lock OUT [uv arguments…]; further requirements on stdin
    local out=$1
    shift
    uv pip compile "$@" - --universal --python-version 3.11 --generate-hashes \
        --no-strip-extras --no-emit-index-url --no-annotate --no-header --quiet --upgrade --output-file "$out"
}

echo 'setuptools>=77' | lock requirements.lock pyproject.toml
echo 'setuptools>=77' | lock requirements/dev.lock pyproject.toml --extra dev
echo 'ziglang>=0.13,<0.18' | lock requirements/zig.lock
echo 'playwright>=1.50,<2' | lock requirements/browser.lock
