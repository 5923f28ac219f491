# Every target sets itself up into .venv; `make PYTHON=/path/to/python3.12 test` takes another Python,
# PG_CONFIG=/path/to/pg_config another Postgres.
PYTHON ?=
PG_CONFIG ?=
ARGS ?=
# Tests wait more than they work, so that more workers than processors are busy.
WORKERS ?= 4
# Recorded exchanges of Stripe, outside this repository.
RECORDED ?= ../shared/recorded
export PG_CONFIG
# Bytecode is kept between the processes of a run: the environments of some containers say otherwise.
unexport PYTHONDONTWRITEBYTECODE

VENV := .venv
BIN := $(VENV)/bin

# What depends on the version of Postgres: the C host's calls of the server (hosts), and the plans, rows and writes
# that come of them. Not here, since they depend on Python or on Stripe: other Pythons, crashes that are recovered
# from, documentation, the property tests.
VERSION_TESTS := tests/database/hosts tests/database/reading tests/database/writing \
	--ignore=tests/database/hosts/test_interpreter.py --ignore=tests/database/writing/test_crashes.py

.PHONY: setup demo test test-tools test-versions chaos lint audit format bench catalog recorded clean help

help:
	@echo 'make demo    a private Postgres and a simulated Stripe: queries, writes, a webhook; then all is removed'
	@echo 'make test    all tests (ARGS="-k word" chooses, WORKERS=0 runs them in one process)'
	@echo 'make test-versions   the tests of the bundled host, reading and writing on PostgreSQL 16 and 18'
	@echo 'make test-tools   the test of dbt, which is installed first (half a minute)'
	@echo 'make chaos   thousands of random changes while services fail (ARGS="--seed 7" repeats a run)'
	@echo 'make lint    format, lint and types, as CI checks them'
	@echo 'make audit   known vulnerabilities of the installed packages, where an advisory service is reached'
	@echo 'make format  format the code'
	@echo 'make bench   the measurements that README shows'
	@echo 'make catalog build the catalog, and its reference, from the installed stripe package'
	@echo 'make recorded  how far the simulator agrees with recorded exchanges of Stripe (RECORDED=path)'
	@echo 'make setup   what the others do first: packages into .venv'

setup:
	@tools/setup.sh '$(PYTHON)'

demo: setup
	@$(BIN)/stripe-fdw demo $(ARGS)

test: setup
	$(BIN)/python -m pytest -n $(WORKERS) --no-loadscope-reorder $(ARGS)

test-versions: setup
	@set -e; builds=$$(tools/postgres_builds.sh); for pg_config in $$builds; do \
		PRELOAD=no PG_CONFIG=$$pg_config $(BIN)/python -m pytest -n $(WORKERS) --no-loadscope-reorder $(VERSION_TESTS) $(ARGS); \
	done

test-tools: setup
	@[ -x $(VENV)/dbt/bin/dbt ] || { $(BIN)/python -m venv $(VENV)/dbt && \
		$(VENV)/dbt/bin/python -m pip install --quiet --disable-pip-version-check 'pip>=25.1' && \
		$(VENV)/dbt/bin/python -m pip install --quiet --disable-pip-version-check --group dbt; }
	$(BIN)/python -m pytest -m dbt tests/database/tools $(ARGS)

chaos: setup
	@PYTHONPATH=tests $(BIN)/python -m chaos $(ARGS)

lint: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports
	$(BIN)/mypy
	$(BIN)/python -m stripe_fdw.catalog build --check
	$(BIN)/python -m stripe_fdw.catalog document --check

audit: setup
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --group audit
	@$(BIN)/python tools/audit.py

format: setup
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: setup
	$(BIN)/python -m bench $(ARGS)

catalog: setup
	$(BIN)/python -m stripe_fdw.catalog build
	$(BIN)/python -m stripe_fdw.catalog document

recorded: setup
	@$(BIN)/python tools/recorded.py '$(RECORDED)' $(ARGS)

clean:
	rm -rf $(VENV) .dev build dist
