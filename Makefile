# `make tune` and `make test` set up what they need in .venv, then run.
PYTHON ?= python3
BIN := .venv/bin
# Byte code is compiled on all cores afterwards; pip would take one.
PIP := $(BIN)/pip install --quiet --disable-pip-version-check --no-compile -c constraints.txt
COMPILE := $(BIN)/python -m compileall -q -j 0 -x '/(test|tests|testing)/' .venv/lib || true

# Runs one target after the other whatever fails, names those that did, and fails if there was one.
EVERY = failed=; for group in $(1); do $(MAKE) --no-print-directory $$group || failed="$$failed $$group"; done; \
	[ -z "$$failed" ] || { echo "FAILED:$$failed"; exit 1; }
LINT := rules format types

.PHONY: tune test quick slow ray drills lint $(LINT) setup dev clean bench-eval bench-train bench-prepare bench-decision
.DEFAULT_GOAL := tune

tune: .venv/.runtime  ## the main job on the built-in sample corpus
	$(BIN)/python jobs/tune.py --recipe jobs/recipes/sample.yaml

test: .venv/.dev  ## lint, types and every test; what fails hides nothing of the rest
	@$(call EVERY,$(LINT) quick slow ray)

quick: .venv/.dev  ## the tests of milliseconds, by two processes
	$(BIN)/python -m pytest -m 'not ray and not drill and not slow and not data' -n $(or $(WORKERS),2) --dist loadfile

slow: .venv/.dev  ## the tests with a real server, a compiler, several processes or the real data
	$(BIN)/python -m pytest -m '(slow or data) and not ray and not drill' -n $(or $(WORKERS),2) --dist loadfile

ray: .venv/.dev  ## the tests with a Ray cluster, which is theirs: one after the other
	$(BIN)/python -m pytest -m 'ray and not drill'

drills: .venv/.dev  ## whole jobs, mostly killed ones: minutes each
	$(BIN)/python -m pytest -m drill

lint: .venv/.dev  ## rules, format and types
	@$(call EVERY,$(LINT))

rules: .venv/.dev
	$(BIN)/ruff check .

format: .venv/.dev
	$(BIN)/ruff format --check .

types: .venv/.dev
	$(BIN)/mypy

bench-eval: .venv/.runtime  ## scoring beyond encoding, and a large search; DATA=DIRECTORY for the real sets
	$(BIN)/python -m benchmarks.evaluation --json build/bench-evaluation.json $(if $(DATA),--data $(DATA))

bench-train: .venv/.dev  ## training against a bare loop and sentence-transformers; DATA=DIRECTORY for real texts
	$(BIN)/python -m benchmarks.training --json build/bench-training.json $(if $(DATA),--data $(DATA)) $(ARGS)

bench-prepare: .venv/.runtime  ## cleaning and preparing a synthetic corpus: time and memory; ITEMS=N LANGS=L
	$(BIN)/python -m benchmarks.prepare --json build/bench-prepare.json $(if $(ITEMS),--items $(ITEMS)) $(if $(LANGS),--langs $(LANGS))

bench-decision: .venv/.runtime  ## how often a study's verdict is wrong, in simulated studies: docs/decision.md
	$(BIN)/python -m benchmarks.decisions --json build/bench-decision.json --page docs/decision.md

setup: .venv/.runtime
dev: .venv/.dev

.venv/bin/python:
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(v < (3, 11) and f"{sys.executable} is Python {v.major}.{v.minor}; hbt_ray needs 3.11 or newer: make PYTHON=/path/to/python3.11")'
	$(PYTHON) -m venv .venv

.venv/.runtime: pyproject.toml constraints.txt | .venv/bin/python
	@echo "installing the dependencies into .venv (a few minutes the first time) ..."
	$(PIP) -e .
	@$(COMPILE)
	@touch $@

.venv/.dev: .venv/.runtime
	$(PIP) -e '.[dev]'
	@$(COMPILE)
	@touch $@

clean:
	rm -rf .venv build
