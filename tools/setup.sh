#!/bin/sh
# Set up .venv: install the Debian packages that are missing, then this package and its tools.
# Does nothing, and needs no network, when it is set up already. Usage: tools/setup.sh [PYTHON]
set -eu
cd "$(dirname "$0")/.."
requested=${1:-}

# Prints the path of the interpreter behind any shim, link or environment.
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

usable_python() { # true for 3.11 or later with venv, headers and the shared library that Postgres loads
    "$1" - <<'PYTHON' >/dev/null 2>&1
import ensurepip, os, sys, sysconfig, venv
assert sys.version_info >= (3, 11)
assert os.path.exists(os.path.join(sysconfig.get_path("include"), "Python.h"))
assert sysconfig.get_config_var("Py_ENABLE_SHARED")
PYTHON
}

find_python() {
    for candidate in "$requested" python3 /usr/bin/python3 python3.14 python3.13 python3.12 python3.11; do
        [ -n "$candidate" ] || continue
        if usable_python "$candidate"; then
            # Resolve a shim or link: what it points to may depend on the folder.
            "$candidate" -c "$base"
            return
        fi
        [ "$candidate" != "$requested" ] || break
    done
}

missing() { # prints the Debian packages that are missing
    [ -n "$(find_pg_config)" ] || printf ' postgresql postgresql-server-dev-all'
    command -v cc >/dev/null || command -v gcc >/dev/null || printf ' gcc libc6-dev'
    command -v make >/dev/null || printf ' make'
    command -v unshare >/dev/null || printf ' util-linux'
    [ -n "$(find_python)" ] || [ -n "$requested" ] || printf ' python3-dev python3-venv'
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

# The Python in the argument; else the one that .venv was made with; else the first usable one.
python=
if [ -z "$requested" ] && [ -x .venv/bin/python ]; then
    python=$(.venv/bin/python -c "$base" 2>/dev/null || true)
    [ -n "$python" ] && usable_python "$python" || python=
fi
[ -n "$python" ] || python=$(find_python)
if [ -z "$python" ]; then
    echo "$requested cannot be used: it needs to be Python 3.11 or later, with venv, its C headers and libpython" >&2
    echo "as a shared library (for pyenv: PYTHON_CONFIGURE_OPTS=--enable-shared)." >&2
    exit 1
fi

# What the environment depends on. If that has not changed, there is nothing to do.
state=.venv/stripe-fdw-setup
depends_on="$python $({ "$python" -c 'import sys; print(sys.version)'; pwd; cat pyproject.toml; } | cksum)"
[ "$(cat "$state" 2>/dev/null || true)" != "$depends_on" ] || exit 0

echo "setting up .venv with $python" >&2
rm -f "$state"
# Moving the folder or replacing Python breaks an environment: start anew.
if [ "$(.venv/bin/python -c "import sys; print(sys.prefix); $base" 2>/dev/null || true)" != "$(pwd)/.venv
$python" ]; then
    rm -rf .venv
    "$python" -m venv .venv
fi
.venv/bin/python -m pip install --quiet --disable-pip-version-check 'pip>=25.1'
.venv/bin/python -m pip install --quiet --disable-pip-version-check \
    --editable '.[serve,simulator,worker]' --group test --group lint --group bench
echo "$depends_on" >"$state"
