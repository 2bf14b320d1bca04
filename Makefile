# KernelFactory. `make` prints help. Everything sets itself up: python3 >= 3.11 with venv, git and make are enough.
PYTHON ?= python3
VENV ?= .venv
ARGS ?=
JOBS ?= auto

export PYTHON
BIN := $(VENV)/bin
PARTS := pyproject.toml scripts/setup.sh $(wildcard src/kernelfactory/core/*.[ch] src/kernelfactory/core/*.py)
RUN := $(VENV)/.ready-run
DEV := $(VENV)/.ready-dev

FLOOR0 := population policy budget brief suspicion timing transcript signs rota redact

.DEFAULT_GOAL := help
.PHONY: help setup demo test agents check fix soak bench lock clean

help: ## print this
	@awk 'BEGIN { FS = ":.*## " } /^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))
	@echo
	@echo "  ARGS=… is passed on:   make demo ARGS='--seconds 30'"
	@echo "  PYTHON=… picks one:    make test PYTHON=python3.13"

setup: $(RUN) ## make $(VENV) with everything that `kf` needs

demo: $(RUN) ## 90 seconds: a faster kernel, found by search alone (no key, no network)
	@$(BIN)/kf demo $(ARGS)

test: $(DEV) ## all tests but those of `make agents` (no root, at most 8 minutes)
	@$(BIN)/pytest -n $(JOBS) -rs -m "not soak" --ignore=tests/agents/real $(ARGS)

agents: $(DEV) ## the real agents' programs against stub model servers (scripts/agents.sh installs them)
	@$(BIN)/pytest -n $(JOBS) -rs -m "not soak" tests/agents/real $(ARGS)

check: $(DEV) ## style, types, the floors of the house, and every branch of floor 0
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/pytest -q $(FLOOR0:%=tests/test_%.py) tests/test_floor0.py --cov-branch --cov-fail-under=100 \
		--cov=kernelfactory.model $(FLOOR0:%=--cov=kernelfactory.%)

fix: $(DEV) ## put right what can be put right by machine
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

soak: $(DEV) ## the long tests, at full size
	@$(BIN)/pytest -m soak $(ARGS)

bench: $(RUN) ## every benchmark; ARGS='judge rate --json' picks
	@$(BIN)/python benchmarks/run.py $(ARGS)

lock: ## write the lock files anew (needs uv)
	@scripts/lock.sh

clean: ## remove $(VENV) and what tools left; never an experiment
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache src/*.egg-info
	find src tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +

$(RUN): $(PARTS) requirements.lock
	@scripts/setup.sh run $(VENV)
	@touch $@

$(DEV): $(PARTS) requirements.lock requirements/dev.lock
	@scripts/setup.sh dev $(VENV)
	@touch $(RUN) $@
