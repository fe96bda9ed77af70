# Two commands for a fresh machine with Python 3.11 or newer: `make demo` and `make test`.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test readers lint check chaos bench clean

$(VENV)/.run: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	@touch $@

$(VENV)/.dev: pyproject.toml $(VENV)/.run
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

# The main job on real documents of this machine: no key, no terminal, no network but the package index.
demo: $(VENV)/.run
	@$(BIN)/python demo.py

test: $(VENV)/.dev
	$(BIN)/python -m pytest -n auto

# Exports in the libraries that people open them with: a large download, so apart from the rest.
readers: $(VENV)/.dev
	$(PYTHON) -m venv --system-site-packages build/readers
	build/readers/bin/python -m pip install --quiet --disable-pip-version-check --editable '.[dev,readers]'
	build/readers/bin/python -m pytest -q tests/export/test_readers.py

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# Everything that continuous integration runs.
check: lint test

# The long forms of the crash tests: minutes, not seconds.
chaos: $(VENV)/.dev
	$(BIN)/python -m pytest -m slow tests/chaos

bench: $(VENV)/.dev
	$(BIN)/python -m benchmarks.pipeline

clean:
	rm -rf $(VENV) demo build dist
