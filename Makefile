# A thin front. Every target makes what it needs, from python3, pip and git alone.
PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/.installed

.DEFAULT_GOAL := help
.PHONY: help install demo demo-real test coverage lint bench swift reliability fuzz mutation

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /  \1\t/p' $(MAKEFILE_LIST)

install: $(INSTALLED) ## make .venv with the locked versions

demo: $(INSTALLED) ## a realistic incident in demo/, planned and rolled back
	@$(BIN)/python scripts/demo.py

demo-real: $(INSTALLED) ## the same on the files of a running engine
	@$(BIN)/python scripts/demo.py --real

test: $(INSTALLED) ## the test suite without the long fault sweeps
	$(BIN)/pytest -n auto -m "not reliability and not object_store"

coverage: $(INSTALLED) ## the same suite with branch coverage, about three times as slow
	$(BIN)/pytest -n auto -m "not reliability and not object_store" --cov --cov-report=term:skip-covered

lint: $(INSTALLED) ## style, types, layers, links
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python scripts/check_docs.py

bench: $(INSTALLED) ## the speed budgets, measured
	$(BIN)/python -m benchmarks

swift: $(INSTALLED) ## windows in OpenStack Swift, by its S3 API
	$(BIN)/uv sync --quiet --frozen --inexact --extra dev --extra object-store-tests
	$(BIN)/pytest -m object_store tests/object_store

reliability: $(INSTALLED) ## the long fault sweeps
	$(BIN)/pytest -n auto -m reliability

FUZZ_SECONDS ?= 30
fuzz: $(INSTALLED) ## hostile input for every loader, guided by coverage, FUZZ_SECONDS in all
	$(BIN)/uv sync --quiet --frozen --inexact --extra dev --extra fuzz
	$(BIN)/python -m tests.reliability.fuzz --seconds $(FUZZ_SECONDS)

mutation: $(INSTALLED) ## faults by the thousand in copies of core and engine; which of them no test sees, takes an hour
	$(BIN)/python scripts/mutation.py

# `--inexact` keeps uv itself in place.
$(INSTALLED): pyproject.toml uv.lock
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("Python 3.11 or newer is needed: make PYTHON=…")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv sync --quiet --frozen --inexact --extra dev
	touch $@
