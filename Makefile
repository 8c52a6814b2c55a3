# `make quickstart` and `make test` each do all the set-up in a fresh clone; another Python is given as
# `make test PYTHON=python3.12`, and gets a virtual environment of its own.

works = $(shell $(1) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 13))' 2>/dev/null && echo $(1))

ifeq ($(origin PYTHON), undefined)
PYTHON := $(firstword $(call works,python3.11) $(call works,python3.12) $(call works,python3))
VENV ?= .venv
else
VENV ?= .venv-$(notdir $(PYTHON))
endif

BIN := $(VENV)/bin
BEAM := $(VENV)-beam
VERSION := $(shell $(PYTHON) -c 'import sys; print("%d%d" % sys.version_info[:2])' 2>/dev/null)
CONSTRAINTS := constraints/py$(VERSION).txt
PIP := $(BIN)/python -m pip --quiet --quiet --disable-pip-version-check install --constraint $(CONSTRAINTS)

WORLD := runs/miniature
TASK := --gin_file $(WORLD)/miniature.gin

export JAX_PLATFORMS ?= cpu

.PHONY: quickstart test test-slow test-peers test-beam lint format clean

quickstart: $(VENV)/installed
	$(BIN)/python -m fiat_jax.miniature $(WORLD)
	$(BIN)/fiat annotate $(TASK)
	$(BIN)/fiat quality $(TASK)
	$(BIN)/fiat tasks $(TASK)
	$(BIN)/fiat compare $(TASK) --run_dir $(WORLD)/compare
	$(BIN)/fiat predict --run_dir $(WORLD)/compare/runs/fiat-450-seed0 $(TASK) \
	  --gin.predict.input=$(WORLD)/data/new.jsonl --gin.predict.output=$(WORLD)/answers.jsonl
	@cat $(WORLD)/answers.jsonl

test: lint
	$(BIN)/python -m pytest --quiet --numprocesses auto --dist loadfile

test-slow: $(VENV)/installed
	$(BIN)/python -m pytest --quiet -m slow

test-peers: $(VENV)/installed
	$(PIP) --editable '.[peers]'
	$(BIN)/python -m pytest --quiet -m peers

test-beam: $(BEAM)/installed
	$(BEAM)/bin/python -m pytest --quiet tests/reasoning/test_beam.py tests/reasoning/test_killed_beam.py

lint: $(VENV)/installed
	$(BIN)/ruff check --quiet .
	$(BIN)/ruff format --quiet --check .
	$(BIN)/mypy --no-error-summary

format: $(VENV)/installed
	$(BIN)/ruff check --quiet --fix .
	$(BIN)/ruff format --quiet .

clean:
	rm -rf .venv .venv-* build dist *.egg-info

$(VENV)/installed: setup.py $(wildcard constraints/*.txt)
	@test -f $(CONSTRAINTS) || { echo "expected a Python 3.11 or 3.12 that runs, found '$(PYTHON)'; give another: make PYTHON=python3.12"; exit 2; }
	@echo "installing into $(VENV) (some minutes the first time)"
	$(PYTHON) -m venv $(VENV)
	$(PIP) --editable '.[test,dev]'
	@touch $@

$(BEAM)/installed: constraints/beam.txt
	$(PYTHON) -m venv $(BEAM)
	$(BEAM)/bin/python -m pip --quiet --quiet --disable-pip-version-check install --requirement $<
	@touch $@
