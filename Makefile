# Every command a developer needs. Each works on a fresh clone; `make help` lists them.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
KEFU := $(VENV)/bin/kefu
PORT ?= 8000

.PHONY: help setup web run test check bench soak system lock clean

help: ## list the commands
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

setup: $(VENV)/.ready ## make the Python environment in .venv

$(VENV)/.ready: requirements.lock pyproject.toml
	@echo "kefu: making the Python environment (about half a minute) ..."
	@$(PYTHON) -c 'import sys; sys.exit("kefu needs Python 3.11 or newer") if sys.version_info < (3, 11) else None'
	@$(PYTHON) -m venv $(VENV)
	@if command -v uv >/dev/null 2>&1; then \
	  VIRTUAL_ENV=$(CURDIR)/$(VENV) uv pip install -q --require-hashes -r requirements.lock && \
	  VIRTUAL_ENV=$(CURDIR)/$(VENV) uv pip install -q --no-deps --no-build-isolation -e . ; \
	else \
	  $(VENV)/bin/python -m pip install -qq --disable-pip-version-check --require-hashes -r requirements.lock && \
	  $(VENV)/bin/python -m pip install -qq --disable-pip-version-check --no-deps --no-build-isolation -e . ; \
	fi
	@touch $@

lock: ## pin every dependency again (needs uv)
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
	  --no-emit-index-url --group dev pyproject.toml -o requirements.lock
