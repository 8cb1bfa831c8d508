# Two commands: make demo, make test. Each does its own set-up.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PIP_DISABLE_PIP_VERSION_CHECK := 1
export PIP_DISABLE_PIP_VERSION_CHECK
WORKERS := -n auto --maxprocesses 4 --dist loadfile

.PHONY: demo test pytest coverage test-slow lint gallery install clean

demo: install
	rm -rf demo
	$(BIN)/pytc demo --out demo

# The checks of the code beside the tests: mypy has one process, and waits for nothing.
test: install
	$(MAKE) -j 2 lint pytest

# A process for each core, each test file in one of them; a thread each, as they would wait for one another.
pytest coverage: export OMP_NUM_THREADS := 1
pytest: install
	$(BIN)/python -m pytest $(WORKERS)

# Tracing lines nearly doubles the time of the tests, so it is not part of them; below 85 % it fails.
coverage: install
	$(BIN)/python -m pytest $(WORKERS) --cov --cov-report=term

test-slow: install
	$(BIN)/python -m pytest -m slow

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

gallery: install
	$(BIN)/python plans/gallery.py

install: $(STAMP)

$(STAMP): pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; call make PYTHON=...")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --no-compile -e '.[dev]'
	touch $@

clean:
	rm -rf $(VENV) demo .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis .coverage
