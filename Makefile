# What people and CI run. `make` alone lists the targets.
SHELL := /usr/bin/env bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help setup setup-run demo up test test-unit test-integration test-e2e test-browsers \
	windows test-windows chaos fuzz fuzz-tpm check format format-check lint types imports migrations translations translations-check readme bench bench-report requirements clean

# every process of a stack would compile all that it imports, again at each start
unexport PYTHONDONTWRITEBYTECODE

BIN := .venv/bin
LOCAL := PYTHONPATH=deploy/local $(BIN)/python -m keystead_local
# T narrows the tests: T=tests/unit, T="tests/e2e -k kill"
T ?= tests
# two at once, each file's tests in one process: files share servers, processes do not. In the order of the folders:
# the long files, over whole stacks, come early, and the many short unit tests even out the end
PYTEST := $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder --ignore=tests/browsers
WINDOWS := PYTHONPATH=.:deploy/local:deploy/windows $(BIN)/python -m keystead_windows
PORT ?= 8080

help: ## list the targets
	@awk 'BEGIN {FS = ":.*## "} /^[a-z0-9-]+:.*## / {printf "  \033[1m%-17s\033[0m %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## install everything: Debian packages, .venv (also for tests)
	@deploy/local/setup.sh all

setup-run:
	@deploy/local/setup.sh run

demo: setup-run ## enroll once, unattended, on this machine alone; leaves var/demo
	@$(LOCAL) demo

up: setup-run ## keep the demo's stack running for a browser, until Ctrl-C (PORT=8080)
	@$(LOCAL) up --port $(PORT)

test: setup ## run all tests, or those of T="tests/unit -k csr"
	@$(PYTEST) $(T)

test-unit: setup ## run the tests that need no server
	@$(PYTEST) tests/unit tests/contract tests/attacks

test-integration: setup ## run the tests on real Redis, PostgreSQL, SMTP, swtpm
	@$(PYTEST) tests/integration

test-e2e: setup ## run the tests over processes and in Chromium
	@$(PYTEST) tests/e2e

test-browsers: ## run the way to a certificate in Firefox too; not in `make test`: it builds geckodriver once
	@deploy/local/setup.sh browsers
	@$(BIN)/python -m pytest tests/browsers

windows: ## build the agent for Windows and its MSI, in var/windows; not in `make test`
	@deploy/local/setup.sh windows
	@$(WINDOWS) build

test-windows: ## run the agent's tests for Windows under Wine; not in `make test`: CPython for Windows comes first
	@deploy/local/setup.sh windows
	@$(WINDOWS) test
	@$(WINDOWS) build
	@KEYSTEAD_WINDOWS_TESTS=1 $(BIN)/python -m pytest tests/wine

chaos: setup ## kill each process at each step of an enrollment, and the worker of 10,000 rows; `make test` has the short form
	@$(PYTEST) -m "chaos or not chaos" tests/e2e/test_kill.py
	@$(PYTEST) -m chaos tests/integration

fuzz: setup ## send the API what its document allows and forbids, for ten minutes (SECONDS=600 SEED=…)
	@PYTHONPATH=deploy/local $(BIN)/python -m tests.attacks.fuzz $(if $(SECONDS),--seconds $(SECONDS)) $(if $(SEED),--seed $(SEED))

fuzz-tpm: setup ## mutilate what TPMs say, and have it read and judged, for ten minutes (SECONDS=600 SEED=…)
	@PYTHONPATH=.:deploy/local $(BIN)/python -m tests.attacks.attestation.fuzz $(if $(SECONDS),--seconds $(SECONDS)) $(if $(SEED),--seed $(SEED))

check: setup format-check lint types imports migrations translations-check readme test ## everything that CI runs

format: setup ## format the code
	@$(BIN)/ruff check --quiet --fix-only .
	@$(BIN)/ruff format .

format-check: setup
	@$(BIN)/ruff format --check .

lint: setup ## ruff, shellcheck
	@$(BIN)/ruff check .
	@shellcheck .ci/run $$(git ls-files -co --exclude-standard '*.sh')

types: setup ## mypy, strict
	@$(BIN)/mypy services/*/src agent/src deploy/local deploy/windows tests
	@$(BIN)/mypy --platform win32 --follow-imports silent tests/windows/*.py tests/wine/desk.py agent/src/keystead_agent/system/*.py agent/src/keystead_agent/spawned.py

imports: setup ## the import contracts between and inside distributions
	@$(BIN)/lint-imports

migrations: setup ## do migrations and models agree?
	@$(LOCAL).drift

translations: setup ## collect the marked texts for translators, say what is untranslated
	@$(LOCAL).translations

translations-check: setup
	@$(LOCAL).translations --check

readme: setup ## does everything exist that the README says to type?
	@$(LOCAL).readme

bench: setup ## measure, print a table, write var/bench.json; BENCH=full for the long forms, PIECES="cost load" for some
	@PYTHONPATH=.:deploy/local $(BIN)/python -m tests.load.bench $(if $(filter full,$(BENCH)),--full) $(PIECES)

bench-report: ## put what var/bench.json has into the README, deploy/reports/ and deploy/runbooks/sizing.md
	@PYTHONPATH=.:deploy/local $(BIN)/python -m tests.load.report
	@PYTHONPATH=.:deploy/local $(BIN)/python -m tests.load.sizing --write

requirements: setup ## pin requirements/*.txt again from requirements/*.in
	@for name in services agent dev; do \
	  $(BIN)/uv pip compile --system-certs --quiet --universal --python-version 3.11 --generate-hashes --no-header \
	    --no-annotate --no-emit-index-url --output-file requirements/$$name.txt requirements/$$name.in; \
	done
	@for name in agent-windows windows; do \
	  $(BIN)/uv pip compile --system-certs --quiet --python-platform x86_64-pc-windows-msvc --python-version 3.13 \
	    --only-binary :all: --generate-hashes --no-header --no-annotate --no-emit-index-url \
	    --constraint requirements/dev.txt --output-file requirements/$$name.txt requirements/$$name.in; \
	done

clean: ## remove .venv, var and caches
	rm -rf .venv var .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -prune -exec rm -rf {} +
