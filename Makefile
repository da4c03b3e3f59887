# `make` alone lists what there is. `make demo` and `make test` need only CPython >= 3.11, make and
# a package index; everything they install goes into $(VENV).

PYTHON ?= python3
VENV   ?= .venv
seed   ?= 1

BIN   := $(VENV)/bin
PEERS := .venv-peers
BASE  := $(VENV)/.base-installed
DEV   := $(VENV)/.dev-installed
MADE  := $(VENV)/.made-with-$(subst /,_,$(PYTHON))

# A few tests take minutes and stand side by side: a worker that has nothing left takes from the other's end.
PYTEST := $(BIN)/python -m pytest --numprocesses auto --maxprocesses 8 --dist worksteal

# uv does not read pip's configuration: where only pip knows the index, pip does the work. Everything is compiled here, once,
# so that neither the first run nor one whose environment forbids to keep bytecode has to do it.
define install
	@test -x $(BIN)/uv || $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt uv
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --constraint constraints.txt --compile-bytecode --editable '$(1)' \
	|| $(BIN)/python -m pip install --constraint constraints.txt --editable '$(1)'
	@$(BIN)/python -m compileall -q src
endef

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help demo run test test-long test-versions test-peers check lint types contracts tests bench search soak sim format generate docs constraints clean

help:  ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

demo: $(BASE)  ## Run the gate on years of real quotes and write an HTML report
	$(BIN)/python -m interlock demo

run: $(BASE)  ## Run a gateway with a paper venue that plays real quotes; its state is in ./interlock-home
	@test -e interlock-home || $(BIN)/python -m interlock init interlock-home --yes
	$(BIN)/python -m interlock run --home interlock-home

test: $(DEV) lint types contracts  ## Run every check and test but the long suites, with the coverage gates
	$(PYTEST) --cov --cov-report=
	$(BIN)/coverage report --include '*/interlock/core/*' --fail-under 100
	$(BIN)/coverage report --omit '*/interlock/core/*' --fail-under 90

test-long: test  ## The same, and then the long suites, without measuring coverage
	$(PYTEST) -m "long and not soak"

test-versions:  ## Run the fast tests on CPython 3.12 and 3.13, each in its own environment
	@for version in 3.12 3.13; do \
	  for python in python$$version $${PYENV_ROOT:-$$HOME/.pyenv}/versions/$$version*/bin/python none; do \
	    if $$python --version >/dev/null 2>&1; then break; fi; \
	  done; \
	  if [ $$python = none ]; then echo "no CPython $$version: install it, for instance with pyenv"; exit 1; fi; \
	  $(MAKE) tests PYTHON=$$python VENV=.venv-$$version || exit 1; \
	done

test-peers: $(DEV) $(PEERS)/.peers-installed  ## Compare with other projects' rules; they get an environment of their own
	REQUIRE=peers $(BIN)/python -m pytest tests/peers --timeout 600

check: lint types contracts tests  ## Lint, types, import contracts and fast tests, without coverage

lint: $(DEV)  ## Check style and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(DEV)  ## Check types, strictly
	$(BIN)/mypy

contracts: $(DEV)  ## Check who imports whom, and that every dependency is used and declared
	$(BIN)/lint-imports --no-logo
	$(BIN)/deptry src

tests: $(DEV)  ## Run the fast tests
	$(PYTEST)

bench: $(DEV)  ## Measure side by side and print ratios
	$(BIN)/python -m benchmarks

search: $(DEV)  ## Let the property tests look for other examples than the ones they always try
	HYPOTHESIS_PROFILE=search $(PYTEST) tests/laws tests/guards tests/unit

soak: $(DEV)  ## Run for hours what shows only in the long run: a million intents, more seeds of the long suites
	$(PYTEST) -m soak

sim: $(DEV)  ## Run one simulated history with faults, every law checked: make sim seed=7
	$(BIN)/python -m interlock.testing --seed $(seed)

format: $(DEV)  ## Format the code and repair what ruff can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

generate: $(DEV)  ## Write the code that is made from the rules afresh
	$(BIN)/python tools/fuse_guards.py
	PYTHONPATH=tests $(BIN)/python tests/architecture/test_wire.py

docs: $(DEV)  ## Write the generated pages of docs/ afresh
	$(BIN)/typer interlock.cli utils docs --name interlock --output docs/cli.md
	$(BIN)/python tools/write_docs.py

constraints: $(DEV)  ## Resolve the newest versions into constraints.txt, for every supported CPython
	$(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --extra dev \
	  --no-header --no-annotate --no-emit-index-url --no-emit-find-links \
	  --output-file constraints.txt pyproject.toml
	$(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 \
	  --no-header --no-annotate --no-emit-index-url --no-emit-find-links \
	  --output-file tests/peers/constraints.txt tests/peers/requirements.in

clean:  ## Remove environments, caches and build results
	rm -rf .venv .venv-* .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis \
	  .coverage .coverage.* htmlcov build dist
	find src tests -name __pycache__ -type d -prune -exec rm -rf {} +

$(MADE):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Interlock needs CPython 3.11 or newer: make PYTHON=python3.13 ...")'
	$(PYTHON) -m venv --clear $(VENV)
	@touch $@

$(BASE): $(MADE) pyproject.toml constraints.txt
	$(call install,.)
	@touch $@

$(DEV): $(MADE) pyproject.toml constraints.txt
	$(call install,.[dev])
	@touch $@ $(BASE)

$(PEERS)/.peers-installed: tests/peers/requirements.in tests/peers/constraints.txt | $(DEV)
	$(PYTHON) -m venv --clear $(PEERS)
	@$(BIN)/uv pip install --quiet --python $(PEERS)/bin/python \
	  --constraint tests/peers/constraints.txt --requirement tests/peers/requirements.in \
	|| $(PEERS)/bin/python -m pip install --constraint tests/peers/constraints.txt --requirement tests/peers/requirements.in
	@touch $@
