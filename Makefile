# Everything a developer or an operator of one machine needs. Python 3.11+, Java 17+ and Maven are what must be there.
#   make demo    the whole stack with a workload in it, in the foreground     make test    lint, types, all tests but
#   make test-ui (in a browser) and make test-kube (over a real Kubernetes API server, which Go builds once)
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# Each stage begins only when the one before has passed: the quick and telling ones first.
TEST_STAGES := style unit property conformance integration faults acceptance
# What the web UI is built from; it is built anew when one of these is newer.
UI_BUILT := ui/dist/index.html
UI_SOURCES := $(shell find ui -type f -not -path 'ui/node_modules/*' -not -path 'ui/dist/*' -not -path 'ui/src/gql/*' \
  -not -path 'ui/tests/*') app/api/schema.graphql
NPM := ui/scripts/with-node.sh npm
SOURCES := app agents tables tests benchmarks examples

.DEFAULT_GOAL := help
.PHONY: help setup venv kernels jars kube demo demo-kube test-kube kube-if-possible up down status test lint typecheck style format schemas lock clean

help:
	@sed -n 's/^#   //p' Makefile
	@echo "targets: setup test test-kube lint typecheck style format demo demo-kube up down status bench-NAME schemas lock clean"

setup: venv jars kernels

venv: $(STAMP)

$(STAMP): requirements.lock setup.cfg pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; make PYTHON=/path/to/python3.11 ...")'
	@$(PYTHON) -c 'import venv, ensurepip' || { echo "the venv module of $(PYTHON) is missing (Debian: python3-venv)"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.lock
	PYTHONWARNINGS=ignore $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $@

kernels: venv
	@$(BIN)/argosy-admin round compile

jars: venv
	@$(BIN)/argosy-admin dev fetch

ui: venv $(UI_BUILT)

ui/node_modules/.installed: ui/package.json ui/package-lock.json ui/scripts/with-node.sh
	$(NPM) ci --no-audit --no-fund --loglevel=error
	touch $@

$(UI_BUILT): ui/node_modules/.installed $(UI_SOURCES)
	$(NPM) run --silent codegen
	$(NPM) run --silent build

# Types, lint and unit tests of the UI; a query that is not in the schema fails here.
ui-check: ui
	$(NPM) run --silent typecheck
	$(NPM) run --silent lint
	$(NPM) test --silent

# In a real browser, against a real stack. Needs Chromium (Debian: apt-get install chromium).
test-ui: setup ui
	$(BIN)/python -m pytest tests/ui

# docs/screenshots: every page in both themes.
screenshots: setup ui
	$(BIN)/python -m tests.ui.screenshots docs/screenshots

demo: setup ui
	@$(BIN)/argosy-admin demo

# The same with a real Kubernetes API server as one more cluster; Go builds it at the first time.
kube: venv
	@$(BIN)/argosy-admin dev fetch --kube

# For machines that may lack Go: without it one line says so, and the tests of the real API server are skipped.
kube-if-possible: venv
	@$(BIN)/argosy-admin dev fetch --kube-if-possible

demo-kube: setup ui kube
	@$(BIN)/argosy-admin demo --kube

test-kube: setup kube-if-possible
	@$(BIN)/python -m pytest -m kube -rs tests/conformance tests/integration/kube tests/faults/test_kube_chaos.py

up: setup ui
	@$(BIN)/argosy-admin dev up

down: venv
	@$(BIN)/argosy-admin dev down

status: venv
	@$(BIN)/argosy-admin dev status

test: setup lint typecheck ui-check
	@for stage in $(TEST_STAGES); do \
	  if find tests/$$stage -name 'test_*.py' 2>/dev/null | grep -q .; then \
	    echo "== tests/$$stage"; $(BIN)/python -m pytest -m "not kube" tests/$$stage || exit 1; \
	  fi; \
	done

lint: venv
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/lint-imports

typecheck: venv
	$(BIN)/mypy

style: venv
	$(BIN)/python -m pytest tests/style

format: venv
	$(BIN)/ruff check --fix $(SOURCES)
	$(BIN)/ruff format $(SOURCES)

# In Chromium, so it needs the built pages.
bench-ui: ui

bench-%: setup
	@$(BIN)/python -m benchmarks.$(subst -,_,$*)

# After a change of schemas/avro/*.avsc: refuses what would break readers, else gives the new version an id.
schemas: venv
	$(BIN)/python -m app.log.compatibility --update

# Resolves setup.cfg anew and pins all of it.
lock: venv
	$(BIN)/pip-compile --quiet --strip-extras --no-annotate --no-header --no-emit-find-links --no-emit-index-url \
	  --allow-unsafe --upgrade --extra local --extra dev --output-file requirements.lock setup.cfg

clean:
	rm -rf $(VENV) build dist ui/dist ui/node_modules ui/src/gql *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find app agents tables tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +
