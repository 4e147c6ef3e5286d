# Chronova. `make help` lists every target.
SHELL := /bin/sh
VENV := .venv
BIN := $(VENV)/bin
ifndef DATA
DATA := $(or $(CHRONOVA_DATA),.chronova)
endif
BASE ?= main
LOG ?=
KAFKA ?=
DATABASE ?=
DRIVER ?=
HOSTS ?=
PORT ?=
CHRONOVA = $(BIN)/chronova
option = $(if $($(1)),--$(2) '$(subst ','\'',$($(1)))')
UP = $(call option,LOG,log) $(call option,KAFKA,kafka) $(call option,DATABASE,database) \
     $(call option,DRIVER,driver) $(call option,HOSTS,hosts) $(call option,PORT,port)
# By the environment: a folder's name may hold spaces and quotes.
up down reset status kafka: export CHRONOVA_DATA = $(DATA)

.DEFAULT_GOAL := help
.PHONY: help env up down reset status kafka schemas test check compatible format lint types tidy unit sim values chaos backlog soak \
        upgrade-drill bench bench-scheduler bench-profile docs traces hooks clean

help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 16

env: $(VENV)/.users ## Make the environment to run in

$(VENV)/bin/python:
	@sh scripts/make-environment $(VENV)

$(VENV)/.users: $(VENV)/bin/python pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e . 'python-openstackclient>=8'
	@touch $@

$(VENV)/.developers: $(VENV)/.users
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[test,dev]'
	@touch $@

up: env ## Start everything: LOG= KAFKA= DATABASE= DRIVER= HOSTS= PORT= DATA=
	@VIRTUAL_ENV="$(CURDIR)/$(VENV)" $(CHRONOVA) up $(UP)

down: env ## Stop what `make up` started; the data stays
	@$(CHRONOVA) down

reset: env ## Stop everything and forget the data
	@$(CHRONOVA) reset

status: env ## Say what runs and how it is
	@$(CHRONOVA) status

kafka: env ## Start a development broker (Java, from Maven Central's jars)
	@$(CHRONOVA) broker

schemas: $(VENV)/.developers ## Commit the schemas and goldens of new and changed records (BASE=main)
	@$(BIN)/python -m schemas.commit
	@$(BIN)/python -m tests.schemas.golden
	@$(BIN)/python -m tests.schemas.golden_log
	@$(BIN)/python -m tests.schemas.golden_fold
	@$(BIN)/python -m schemas.compatibility $(BASE)

test: $(VENV)/.developers ## Run all tests; they bring what they need
	@sh scripts/run-tests $(BIN) $(TESTS)

check: $(VENV)/.developers ## All that needs no service, within a minute
	@$(MAKE) --no-print-directory --jobs=2 --output-sync=target types tidy unit lint format

format: $(VENV)/.developers ## Is everything formatted
	@$(BIN)/ruff format --check --quiet .

lint: $(VENV)/.developers ## ruff
	@$(BIN)/ruff check --quiet .

types: $(VENV)/.developers ## mypy, strict
	@$(BIN)/mypy --no-error-summary

compatible: $(VENV)/.developers ## Do the schemas keep what is committed (BASE=main)
	@$(BIN)/python -m schemas.compatibility $(BASE)

tidy: compatible ## The conventions that are tested: imports, purity, schemas (BASE=main)
	@$(BIN)/pytest -q tests/tidy tests/schemas

unit: $(VENV)/.developers ## Pure tests and some dozens of simulated seeds
	@$(BIN)/pytest -q -m 'not service and not long' --ignore=tests/tidy --ignore=tests/schemas tests

sim: $(VENV)/.developers ## Simulate: SEEDS=2000; PAIRS=1: all workloads with all pairs of faults
	@$(BIN)/python -m tests.simulation --seeds $(or $(SEEDS),2000) $(if $(PAIRS),--pairs)

values: $(VENV)/.developers ## Feed many more values through every message: EXAMPLES=50
	@CHRONOVA_EXAMPLES=$(or $(EXAMPLES),50) $(BIN)/pytest -q tests/properties --timeout=0

docs: $(VENV)/.developers ## Write docs/{settings,events,api,states}.md and parts of README.md
	@$(BIN)/python scripts/document-settings
	@$(BIN)/python scripts/document-events
	@$(BIN)/python scripts/document-code
	@$(BIN)/python -m tests.conformance.document
	@$(BIN)/python -m tests.simulation.document

traces: $(VENV)/.developers ## Trace each operation on a simulated site anew, for docs/flows.md
	@$(BIN)/python -m tests.operations.traces

chaos: $(VENV)/.developers ## Kill, freeze, fill, put back under load, on both logs: LOG= CHAOS='--minutes 5' HISTORY='--minutes 10'
	@for log in $(or $(LOG),postgres kafka); do \
	  $(BIN)/python -m tests.chaos --log $$log $(CHAOS) && \
	  $(BIN)/python -m tests.chaos.history --log $$log --disk $(HISTORY) || exit 1; \
	done

backlog: $(VENV)/.developers ## Kill deciders that work off 100,000 commands, on both logs: COMMANDS=
	@CHRONOVA_BACKLOG=$(or $(COMMANDS),100000) $(BIN)/pytest -q -s tests/chaos/test_backlog.py --timeout=0

soak: $(VENV)/.developers ## An hour of boots and deletes; memory, files and connections stay: LOG= SOAK=
	@$(BIN)/python -m tests.chaos --soak --minutes 60 --rate 20 --round 300 $(if $(LOG),--log $(LOG)) $(SOAK)

upgrade-drill: $(VENV)/.developers ## Two versions side by side for ten minutes under load: LOG= DRILL='--minutes 10'
	@$(BIN)/python -m tests.chaos.upgrade $(if $(LOG),--log $(LOG)) $(DRILL)

bench: $(VENV)/.developers ## Measure against Nova's figures, on both logs
	@$(BIN)/python -m tests.bench $(BENCH)

bench-scheduler: $(VENV)/.developers ## How long a placement takes at 10 to 10,000 hosts
	@$(BIN)/python -m tests.bench.scheduler $(BENCH)

bench-profile: $(VENV)/.developers ## Where the time of one boot goes
	@$(BIN)/python -m tests.bench.profile $(BENCH)

hooks: $(VENV)/.developers ## Install the pre-commit hooks
	@$(BIN)/pre-commit install

clean: ## Remove the environment and caches
	rm -rf $(VENV) build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
