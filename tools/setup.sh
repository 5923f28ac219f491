#!/bin/sh
# Makes .venv ready: what Postgres and Python need from Debian, then this package and its tools.
# Does nothing, and needs no network, once it is done. Usage: tools/setup.sh [PYTHON]
set -eu
cd "$(dirname "$0")/.."
wanted=${1:-}

# Prints the interpreter below any shim, link or environment: one name for one Python.
base='import os, sys; print(os.path.realpath(sys._base_executable))'

find_pg_config() {
    for candidate in "${PG_CONFIG:-}" "$(command -v pg_config || true)" \
        $(ls -d /usr/lib/postgresql/*/bin/pg_config /usr/pgsql-*/bin/pg_config 2>/dev/null | sort -rV); do
        [ -n "$candidate" ] || continue
        if [ -x "$("$candidate" --bindir 2>/dev/null)/postgres" ] &&
            [ -f "$("$candidate" --includedir-server 2>/dev/null)/postgres.h" ]; then
            echo "$candidate"
            return
        fi
    done
}

usable_python() { # at least 3.11, with venv, headers and the shared library that Postgres will load
    "$1" - <<'PYTHON' >/dev/null 2>&1
import ensurepip, os, sys, sysconfig, venv
assert sys.version_info >= (3, 11)
assert os.path.exists(os.path.join(sysconfig.get_path("include"), "Python.h"))
assert sysconfig.get_config_var("Py_ENABLE_SHARED")
PYTHON
}

find_python() {
    for candidate in "$wanted" python3 /usr/bin/python3 python3.14 python3.13 python3.12 python3.11; do
        [ -n "$candidate" ] || continue
        if usable_python "$candidate"; then
            # A shim or link is resolved: another folder's settings must not change what it means.
            "$candidate" -c "$base"
            return
        fi
        [ "$candidate" != "$wanted" ] || break
    done
}

missing() { # Debian packages for what is not there, one list
    [ -n "$(find_pg_config)" ] || printf ' postgresql postgresql-server-dev-all'
    command -v cc >/dev/null || command -v gcc >/dev/null || printf ' gcc libc6-dev'
    command -v make >/dev/null || printf ' make'
    command -v unshare >/dev/null || printf ' util-linux'
    [ -n "$(find_python)" ] || [ -n "$wanted" ] || printf ' python3-dev python3-venv'
}

packages=$(missing)
if [ -n "$packages" ]; then
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        echo "installing:$packages" >&2
        export DEBIAN_FRONTEND=noninteractive
        apt-get update -qq
        # shellcheck disable=SC2086 # a list of words
        apt-get install -y -qq --no-install-recommends $packages >/dev/null
        packages=$(missing)
    fi
    if [ -n "$packages" ]; then
        echo "stripe-fdw needs these packages:$packages" >&2
        echo "Install them as root:  apt-get install$packages" >&2
        exit 1
    fi
fi

# The Python asked for; else the one .venv was made with; else the first that will do.
python=
if [ -z "$wanted" ] && [ -x .venv/bin/python ]; then
    python=$(.venv/bin/python -c "$base" 2>/dev/null || true)
    [ -n "$python" ] && usable_python "$python" || python=
fi
[ -n "$python" ] || python=$(find_python)
if [ -z "$python" ]; then
    echo "$wanted cannot be used: it needs to be Python 3.11 or later, with venv, its C headers and libpython" >&2
    echo "as a shared library (for pyenv: PYTHON_CONFIGURE_OPTS=--enable-shared)." >&2
    exit 1
fi

# What the environment is made of; when that has not changed there is nothing to do.
state=.venv/stripe-fdw-setup
made_of="$python $({ "$python" -c 'import sys; print(sys.version)'; pwd; cat pyproject.toml; } | cksum)"
[ "$(cat "$state" 2>/dev/null || true)" != "$made_of" ] || exit 0

echo "setting up .venv with $python" >&2
rm -f "$state"
# A folder that was moved or a Python that was replaced leaves an environment that only half works.
if [ "$(.venv/bin/python -c "import sys; print(sys.prefix); $base" 2>/dev/null || true)" != "$(pwd)/.venv
$python" ]; then
    rm -rf .venv
    "$python" -m venv .venv
fi
.venv/bin/python -m pip install --quiet --disable-pip-version-check 'pip>=25.1'
.venv/bin/python -m pip install --quiet --disable-pip-version-check \
    --editable '.[simulator]' --group test --group lint --group bench
echo "$made_of" >"$state"
