# `make` alone explains itself: every target with a ## comment is listed.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c .ci/constraints.txt
export PYTHONWARNINGS :=

.DEFAULT_GOAL := help
.PHONY: help demo demo-all test lint format types bench-fetch bench-convert bench-latency bench-verify sweep-classical upstream fault-plan clean

help:  ## This list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

$(VENV)/base:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "zoo needs Python 3.11 or newer, $(PYTHON) is " + sys.version.split()[0] + ": make PYTHON=python3.11 …")'
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/light: $(VENV)/base pyproject.toml .ci/constraints.txt
	$(PIP) -e '.[sklearn]'
	@touch $@

$(VENV)/full: $(VENV)/base pyproject.toml .ci/constraints.txt
	$(PIP) -e '.[all,dev]'
	@touch $@ $(VENV)/light

demo: $(VENV)/light  ## Pull magika and silero-vad, convert a scikit-learn pipeline, prove all three
	@$(BIN)/python -m examples.demo

demo-all: $(VENV)/full  ## The demo, and EfficientNet (PyTorch) and basic-pitch (TensorFlow)
	@$(BIN)/python -m examples.demo --all

test: $(VENV)/full  ## The whole test suite
	@$(BIN)/python -m pytest -n 2 --dist loadgroup

lint: $(VENV)/full  ## Style, formatting and the direction of imports
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/lint-imports

types: $(VENV)/full  ## mypy, strict
	@$(BIN)/mypy

format: $(VENV)/full  ## Format the code
	@$(BIN)/ruff check --fix --quiet . || true
	@$(BIN)/ruff format .

bench-fetch: $(VENV)/full  ## Fetching against curl, aria2c, pooch and huggingface_hub
	$(PIP) pooch huggingface_hub
	@$(BIN)/python -m benchmarks.fetch

bench-convert: $(VENV)/full  ## What the proof costs over the raw converter
	@$(BIN)/python -m benchmarks.convert

bench-latency: $(VENV)/full  ## How fast the graphs of classical models answer
	@$(BIN)/python -m benchmarks.latency_classical

bench-verify: $(VENV)/full  ## What a proof costs over the plain runs it consists of
	@$(BIN)/python -m benchmarks.verify

upstream: $(VENV)/full  ## Run every reproducer of an upstream fault, before and after
	@$(BIN)/python -m benchmarks.upstream

sweep-classical: $(VENV)/full  ## Classical models, ours against plain upstream, into docs/classical-sweep.md
	@$(BIN)/python -m benchmarks.sweep_classical

fault-plan: $(VENV)/full  ## Run the fault plan of fetching, and write docs/fault-plan.md from it
	@$(BIN)/python -m benchmarks.fetch.fault_plan

clean:  ## Remove the environment and build products
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
