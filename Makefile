# Every target sets itself up: .venv from the lock, each package checked against its hash. `make help` lists them.
# Needs Python >= 3.11 with venv, make, git and OpenSSH. Written for make 3.81 (macOS) and later.

PYTHON ?= python3
QUOTES ?= dummy
COMMA := ,
# A recording holds what it holds; generated quotes know every symbol.
SYMBOLS ?= $(if $(filter replay:%,$(QUOTES)),SPY,SPY$(COMMA)TSLA)
PROFILE ?= sim
CHECK ?= smoke
ARGS   ?=

VENV := .venv
BIN  := $(VENV)/bin
# Paths stay relative, so that a folder with a space in its name works.
RUN  := $(VENV)/run.stamp
DEV  := $(VENV)/dev.stamp
CLIENTS_VENV := .venv-clients
CLIENTS_BIN := $(CLIENTS_VENV)/bin
CLIENTS := $(CLIENTS_VENV)/stamp
PIP  := $(BIN)/python -m pip --disable-pip-version-check --quiet install
# Wheels only: a source distribution would fetch a build backend that no hash covers.
LOCKED := --require-hashes --no-deps --only-binary :all: --requirement
# Tests wait for processes and sockets as much as they compute: one worker more than there are processors.
WORKERS = $$($(BIN)/python -c 'import os; print(min(4, (os.cpu_count() or 1) + 1))')
COMPILE = $(BIN)/python -m compileall -q aurora steps tasks.py

.DEFAULT_GOAL := help
.PHONY: help setup rehearse live live-shadow live-eod drill daily-shadow maintenance test conformance check named-check nightly bench lock calendar clean moved

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' Makefile

setup: $(RUN) ## Make .venv with what a run needs

rehearse: $(RUN) ## Rehearse the go-live checklist; QUOTES=dummy or replay:FOLDER, SYMBOLS=SPY
	@$(COMPILE)
	$(BIN)/invoke runbook go-live --profile sim --symbols "$(SYMBOLS)" --quotes "$(QUOTES)" --answers profiles/answers/rehearse.yaml $(ARGS)

live: $(RUN) ## Run the go-live checklist for real; ARGS="--symbols SPY"
	@$(COMPILE)
	$(BIN)/invoke runbook go-live $(ARGS)

live-shadow: $(RUN) ## Warm up: a shadow session, nothing sent; QUOTES=, SYMBOLS=, PROFILE=live_canary
	@$(COMPILE)
	$(BIN)/invoke runbook warmup --profile "$(PROFILE)" --symbols "$(SYMBOLS)" --quotes "$(QUOTES)" $(ARGS)

live-eod: $(RUN) ## Close the day: figures, positions, cash, reconcile; PROFILE=live_canary, ARGS="--recording runs/…/session.jsonl"
	@$(COMPILE)
	$(BIN)/invoke runbook eod --profile "$(PROFILE)" --symbols "$(SYMBOLS)" $(ARGS)

drill: $(RUN) ## Rehearse the emergency on a simulated gateway; ARGS="--gateway HOST:PORT"
	@$(COMPILE)
	$(BIN)/invoke runbook drill $(ARGS)

daily-shadow: $(RUN) ## The day's shadow session, judged and summed up; QUOTES=, SYMBOLS=, PROFILE=
	@$(COMPILE)
	$(BIN)/invoke runbook daily-shadow --profile "$(PROFILE)" --symbols "$(SYMBOLS)" --quotes "$(QUOTES)" $(ARGS)

maintenance: $(RUN) ## Run the day's maintenance; PROFILE=paper_account, QUOTES=ibkr, ARGS="--minutes 15 --ntfy"
	@$(COMPILE)
	$(BIN)/invoke runbook maintenance --profile "$(PROFILE)" --symbols "$(SYMBOLS)" --quotes "$(QUOTES)" $(ARGS)

test: $(DEV) ## Run the tests; ARGS="-k journal"
	@$(COMPILE)
	$(BIN)/python -m pytest -n $(WORKERS) $(ARGS)

conformance: $(CLIENTS) ## Drive the gateway and the adapter with ib_insync, and the gateway with the official client
	AURORA_CONFORMANCE=1 $(CLIENTS_BIN)/python -m pytest -n $(WORKERS) tests/gateway tests/ibkr tests/contracts $(ARGS)

nightly: $(DEV) ## Run all tests, the long ones too
	@$(COMPILE)
	$(BIN)/python -m pytest -n $(WORKERS) -m "nightly or not nightly" $(ARGS)

check: $(DEV) ## Style, types, layers, and the shipped runbooks
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/invoke lint

named-check: $(DEV) ## Run a named check as CI does, an advisory red is a warning; CHECK=smoke (see profiles/governance.yaml)
	@$(COMPILE)
	$(BIN)/python -m aurora.governance $(CHECK)

bench: $(DEV) ## Measure the budgets
	@$(COMPILE)
	$(BIN)/python -m benchmarks $(ARGS)

lock: $(DEV) ## Lock the dependencies again; ARGS=--upgrade takes newer ones
	$(BIN)/uv pip compile $(LOCK_OPTIONS) pyproject.toml --output-file requirements/run.lock
	$(BIN)/uv pip compile $(LOCK_OPTIONS) pyproject.toml --extra dev --constraint requirements/run.lock \
		--output-file requirements/dev.lock
	$(BIN)/uv pip compile $(subst --group build,--group conformance,$(LOCK_OPTIONS)) --constraint requirements/dev.lock \
		--output-file requirements/conformance.lock

# All platforms and every Python that we support in one file, one version a package, with the hashes of all published files and no address.
LOCK_OPTIONS = --universal --python-version 3.11 --fork-strategy fewest --generate-hashes --group build --no-emit-index-url \
	--no-emit-find-links --custom-compile-command "make lock" --quiet $(ARGS)

calendar: $(DEV) ## Write the table of exchange days again, as the package exchange_calendars has it
	$(BIN)/python -m tests.market.exchange_days

clean: ## Remove .venv and all caches; runs/ stays
	rm -rf $(VENV) $(CLIENTS_VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	find . -path ./runs -prune -o -name __pycache__ -type d -prune -exec rm -rf {} +

# ── Set-up: done again only when a lock or pyproject.toml changed, or when the folder was moved or copied ────────────
# A copy's .venv would run the code of the place it was copied from, so the stamp holds the folder's name.
ifneq ("$(shell cat $(RUN) 2>/dev/null)","$(CURDIR)")
$(RUN): moved
endif

$(RUN): requirements/run.lock pyproject.toml
	@if [ -e $(RUN) ] && [ "$$(cat $(RUN))" != "$(CURDIR)" ]; then rm -rf $(VENV); fi
	@$(BIN)/python -c 'import pip' 2>/dev/null || { $(CHECK_PYTHON); "$(PYTHON)" -m venv --clear $(VENV); }
	$(PIP) $(LOCKED) requirements/run.lock
	$(PIP) --no-index --no-deps --no-build-isolation --editable .
	@printf '%s' "$(CURDIR)" > $@

$(DEV): requirements/dev.lock $(RUN)
	$(PIP) $(LOCKED) requirements/dev.lock
	@touch $@

# ib_insync and ib_async come with two packages of one name, `eventkit`: each environment has one of the two clients.
$(CLIENTS): requirements/run.lock requirements/dev.lock requirements/conformance.lock pyproject.toml
	@if [ "$$(cat $(CLIENTS) 2>/dev/null)" != "$(CURDIR)" ]; then $(CHECK_PYTHON); "$(PYTHON)" -m venv --clear $(CLIENTS_VENV); fi
	$(CLIENTS_BIN)/python -m pip --disable-pip-version-check --quiet install $(LOCKED) requirements/run.lock
	$(CLIENTS_BIN)/python -m pip --disable-pip-version-check --quiet install $(LOCKED) requirements/dev.lock
	$(CLIENTS_BIN)/python -m pip --disable-pip-version-check --quiet uninstall --yes ib_async aeventkit
	$(CLIENTS_BIN)/python -m pip --disable-pip-version-check --quiet install $(LOCKED) requirements/conformance.lock
	$(CLIENTS_BIN)/python -m pip --disable-pip-version-check --quiet install --no-index --no-deps --no-build-isolation --editable .
	@printf '%s' "$(CURDIR)" > $@

define CHECK_PYTHON
command -v "$(PYTHON)" >/dev/null \
|| { echo "There is no $(PYTHON) here. Install Python 3.11 or later, or name one: make PYTHON=/path/to/python3"; exit 1; } >&2; \
"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
|| { echo "Aurora needs Python 3.11 or later; $(PYTHON) is $$("$(PYTHON)" -V 2>&1). Name another: make PYTHON=python3.12"; exit 1; } >&2; \
"$(PYTHON)" -c 'import ensurepip, venv' 2>/dev/null \
|| { echo "$(PYTHON) can't make virtual environments. On Debian and Ubuntu: apt-get install python3-venv"; exit 1; } >&2
endef
