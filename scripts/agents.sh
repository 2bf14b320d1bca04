#!/usr/bin/env bash
# Puts the coding agents that tests drive into a cache folder: `scripts/agents.sh [claude|codex|gemini|opencode]…` (all).
# $KF_AGENTS, or ${XDG_CACHE_HOME:-~/.cache}/kernelfactory/agents; programs are linked in its bin/. Prints the name of each
# that is there; the exit code says whether all are. No script of a package runs, and its digest is the locked one.
set -euo pipefail
lock=$(cd "$(dirname "$0")/.." && pwd)/requirements/agents.lock
agents=${KF_AGENTS:-${XDG_CACHE_HOME:-$HOME/.cache}/kernelfactory/agents}
seconds=${KF_AGENTS_SECONDS:-240} # for each to be fetched and unpacked

say() { printf 'agents: %s\n' "$*" >&2; }

get() { # get NAME PACKAGE DIGEST PLACE: into a folder of its version, whole or not at all
    local name=$1 package=$2 digest=$3 place=$4 folder=$agents/$1@${2##*@} module=node_modules/${2%@*} new
    if [ ! -x "$folder/$module/$place" ]; then
        command -v npm >/dev/null || { say "$name: npm is not there to install it"; return 1; }
        mkdir -p "$agents/bin" && new=$(mktemp -d "$agents/.new-$name-XXXXXX") && chmod 755 "$new"
        echo '{"private": true}' >"$new/package.json"
        if ! timeout "$seconds" npm install --prefix "$new" --ignore-scripts --no-audit --no-fund --no-update-notifier \
            --loglevel=error "$package" >"$new/log" 2>&1; then
            say "$name: npm install $package failed: $(head -n 1 "$new/log")"
            rm -rf "$new"; return 1
        fi
        if ! grep -qF "\"$digest\"" "$new/node_modules/.package-lock.json"; then
            say "$name: $package is not what requirements/agents.lock says it is"
            rm -rf "$new"; return 1
        fi
        chmod 755 "$new/$module/$place"
        rm -rf "$folder" && mv -T "$new" "$folder"
    fi
    ln -sfn "../${folder##*/}/$module/$place" "$agents/bin/$name"
    echo "$name"
}

wanted=" ${*:-claude codex gemini opencode} "
machine=$(uname -m)
jobs=()
while read -r name kind package digest place; do
    [[ $name != "#" && $wanted == *" $name "* && ($kind == node || $kind == "$machine") ]] || continue
    if [ "$kind" = node ] && ! node -e 'process.exit(parseInt(process.versions.node) < 20 ? 1 : 0)' 2>/dev/null; then
        say "$name: node 20 or newer is not there to run it"
        continue
    fi
    get "$name" "$package" "$digest" "$place" &
    jobs+=($!)
done <"$lock"
missing=$(($(wc -w <<<"$wanted") - ${#jobs[@]})) # not made for this machine
for job in "${jobs[@]}"; do wait "$job" || missing=$((missing + 1)); done
[ "$missing" = 0 ] || { say "not all of these are there:${wanted% }"; exit 1; }
