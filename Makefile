# Every command sets up what it needs (.venv, node_modules) the first time; nothing is installed outside this folder.
.DEFAULT_GOAL := help
SHELL := /bin/bash
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet
PYTEST := $(BIN)/python -m pytest
WORKERS ?= 2

.PHONY: help
help: ## Show what there is
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1|/' | while IFS='|' read -r name text; do printf '  %-12s %s\n' "$$name" "$$text"; done

.PHONY: setup
setup: $(READY) ## Make .venv and node_modules (the other commands do it by themselves)

$(READY): requirements.txt requirements-dev.txt package-lock.json sandbox/functions_host/install.py
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; say which: make PYTHON=python3.12 ...")'
	@command -v npm > /dev/null || { echo 'Node.js 20 or newer with npm is needed (for Azurite)'; exit 1; }
	@command -v cc > /dev/null || { echo 'A C compiler is needed (for python-qpid-proton)'; exit 1; }
	@echo 'Set-up 1/3: Python packages into .venv (two to three minutes the first time)'
	@$(PYTHON) -m venv .venv
	@$(PIP) -r requirements.txt -r requirements-dev.txt 2> >(grep -v 'is ignored: it is neither a file nor a directory' >&2)
	@echo "Set-up 2/3: Microsoft's Functions worker library into .venv"
	@$(BIN)/python -m sandbox.functions_host.install
	@echo 'Set-up 3/3: Azurite into node_modules'
	@npm ci --silent --no-audit --no-fund
	@touch $@

.PHONY: demo
demo: $(READY) ## The main job on a local cloud: HR sets a leave date, the MSSP account is contained, cleaned up and proven
	@$(BIN)/python -m sandbox.demo

.PHONY: sandbox
sandbox: $(READY) ## Leave the demo's local cloud up for playing (docs/sandbox.md); Ctrl-C ends it
	@mkdir -p .sandbox
	@$(BIN)/python -m sandbox up --world sandbox/worlds/demo.yaml --record .sandbox/traffic.jsonl --env .sandbox/env

.PHONY: test
test: $(READY) ## All tests: unit, functional, contract, end to end
	@echo 'Tests run in $(WORKERS) processes; end-to-end tests start local clouds of their own'
	@$(PYTEST) -n $(WORKERS) --dist loadfile

.PHONY: check
check: $(READY) ## Formatting, lint, types, import rules
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

.PHONY: coverage
coverage: $(READY) ## Tests that need no processes, with branch coverage of the app
	@$(PYTEST) -n $(WORKERS) -m 'not e2e' --cov --cov-report=term-missing:skip-covered

.PHONY: bench
bench: $(READY) ## Speed and size against their targets; writes docs/performance.md and its plots
	@$(BIN)/python -m bench

.PHONY: lock
lock: $(READY) ## Compile requirements*.in into pinned requirements*.txt
	@$(PIP) uv
	@$(BIN)/uv pip compile -q --universal --python-version 3.11 --no-header requirements.in -o requirements.txt
	@$(BIN)/uv pip compile -q --universal --python-version 3.11 --no-header -c requirements.txt requirements-dev.in -o requirements-dev.txt

.PHONY: schemas
schemas: $(READY) ## Write what is made from code: JSON Schemas of policy and world files, docs/permissions.md, docs/outcomes.md
	@$(BIN)/python -m jml policy-schema > policy.schema.json
	@$(BIN)/python -m jml permissions > docs/permissions.md
	@$(BIN)/python -m jml outcomes > docs/outcomes.md
	@$(BIN)/python -m sandbox.worlds.schema

.PHONY: clean
clean: ## Remove everything that was set up or left behind
	@rm -rf .venv node_modules .sandbox .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage
