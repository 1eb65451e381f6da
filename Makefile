# Every command a developer needs. Each works on a fresh clone; `make help` lists them.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
MAKEFLAGS += --no-print-directory
PYTHON ?= python3
PORT ?= 8000
VENV := .venv
BIN := $(VENV)/bin
WEB := kefu/web
WEB_SOURCES := $(shell find $(WEB) \( -name node_modules -o -name dist \) -prune -o -type f -print)
AT_ONCE := --numprocesses 2 --dist worksteal
NPM := npm --prefix $(WEB) --silent --no-audit --no-fund --no-update-notifier

.PHONY: help setup web run test check types bench soak system lock clean

help: ## list the commands
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

setup: $(VENV)/.ready ## make the Python environment in .venv

run: setup web ## serve http://127.0.0.1:8000 with a demo shop; Ctrl-C stops everything
	@exec $(BIN)/kefu serve --demo --data-dir .kefu --port $(PORT)

test: setup web system ## all tests; works beside a running server
	@$(BIN)/python -m compileall -q -x node_modules kefu actors protocol tests  # once, not for each server started
	@OPENBLAS_NUM_THREADS=1 $(BIN)/pytest $(AT_ONCE) -m "not alone"  # or they spin on each other
	@$(BIN)/pytest -m alone
	@$(NPM) test

check: setup $(WEB)/node_modules/.ready ## style, types, import laws, everything that runs nothing
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check --quiet
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo
	@$(BIN)/pytest tests/laws
	@$(NPM) run typecheck

types: setup ## write the web's message types from protocol/
	@$(BIN)/python -m protocol.schema typescript > $(WEB)/src/shared/protocol.ts

bench: setup web ## every benchmark, about half an hour; make bench QUICK=--quick tries each
	@for each in actors frames start "chat --peer --rounds 3 --window 8" chat "chat --half" \
	  relay "relay --window 1" fanout connections cluster ai_sse handoff recommend; do \
	  echo "kefu: bench $$each ($$(date +%H:%M), load $$(cut -d' ' -f1 /proc/loadavg))"; \
	  $(BIN)/python -m bench.$$each $(QUICK); \
	done

soak: setup ## kills, Redis faults, a million damaged frames, the simulation with 20,000 seeds; hours
	@KEFU_KILLS=50 KEFU_MUTATED_FRAMES=1000000 KEFU_RACES=10000 KEFU_HISTORIES=2000 \
	  $(BIN)/pytest --timeout 0 tests/stories/test_kills_under_load.py \
	  tests/stories/test_mutated_frames.py tests/conversations/test_accept_races.py \
	  tests/recommendations/test_index.py
	@KEFU_INSTANCE_KILLS=200 KEFU_PAUSES=30 KEFU_UPGRADES=10 KEFU_REDIS_FAULTS=100 \
	  KEFU_POSTGRES_STOPS=20 $(BIN)/pytest --timeout 0 tests/cluster/processes
	@KEFU_SIMULATION_SEEDS=20000 $(BIN)/pytest --timeout 0 $(AT_ONCE) tests/simulation

lock: ## pin every dependency again (needs uv)
	@uv pip compile --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
	  --no-emit-index-url --group dev --extra semantic pyproject.toml -o requirements.lock

clean: ## remove what was built; .kefu, which holds data, stays
	@rm -rf $(VENV) $(WEB)/dist $(WEB)/node_modules dist .mypy_cache .ruff_cache .pytest_cache \
	  .import_linter_cache .hypothesis .coverage

system: ## what only the system's package manager has: Chromium and Chinese fonts
	@missing=""; command -v chromium >/dev/null || missing="chromium"; \
	[ -d /usr/share/fonts/opentype/noto ] || missing="$$missing fonts-noto-cjk"; \
	[ -n "$$missing" ] || exit 0; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	  echo "kefu: installing $$missing ..."; \
	  apt-get update -qq && DEBIAN_FRONTEND=noninteractive \
	    apt-get install -y -qq --no-install-recommends $$missing >/dev/null && exit 0; \
	fi; \
	echo "kefu: ****** $$missing missing: the browser tests are SKIPPED. On Debian:"; \
	echo "kefu: ****** sudo apt-get install $$missing"

$(VENV)/.ready: requirements.lock pyproject.toml
	@echo "kefu: making the Python environment (about half a minute) ..."
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "kefu: needs Python 3.11 or newer; name one with make PYTHON=..."; exit 1; }
	@$(PYTHON) -m venv $(VENV) \
	  || { echo "kefu: $(PYTHON) cannot make environments; on Debian: apt-get install python3-venv"; exit 1; }
	@if command -v uv >/dev/null; then \
	  export VIRTUAL_ENV=$(CURDIR)/$(VENV); \
	  uv pip install -q --require-hashes -r requirements.lock; \
	  uv pip install -q --no-deps --no-build-isolation -e .; \
	else \
	  install="$(BIN)/python -m pip install -qq --disable-pip-version-check"; \
	  $$install --require-hashes -r requirements.lock; \
	  $$install --no-deps --no-build-isolation -e .; \
	fi
	@touch $@

web: $(WEB)/dist/.built
	@:

$(WEB)/dist/.built: $(WEB)/node_modules/.ready $(WEB_SOURCES)
	@echo "kefu: building the web pages ..."
	@$(NPM) run build -- --logLevel warn
	@touch $@

$(WEB)/node_modules/.ready: $(WEB)/package-lock.json
	@command -v node >/dev/null || { echo "kefu: needs Node 20.19 or newer; there is none"; exit 1; }
	@node -e 'const [a, b] = process.versions.node.split("."); process.exit(+(a * 100 + +b < 2019))' \
	  || { echo "kefu: needs Node 20.19 or newer; this is $$(node --version)"; exit 1; }
	@echo "kefu: fetching what the web pages are built with ..."
	@$(NPM) ci
	@touch $@
