.PHONY: help demo test test-nightly test-lowest test-newest test-airflow test-docs test-stand-ins airflow docs explore hooks dist check bench pictures lock clean
.DEFAULT_GOAL := help

PYTHON ?= python3
NEWEST ?= python3.14
BIN := .venv/bin
INSTALL := $(BIN)/uv pip install --quiet --python
# Where many processes import what one has installed, it is compiled once, before.
COMPILED := --compile-bytecode
LOCK := $(BIN)/uv pip compile --universal --upgrade --generate-hashes --no-header --quiet

help: ## what can be made
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/make \1 \t\2/p' Makefile | expand -t 20

demo: .venv/ready ## load an embedded registry into demo.duckdb and ask it three questions
	@$(BIN)/ecr-source demo

test: check ## lint, types and all tests
	$(BIN)/pytest -n auto

test-nightly: .venv/ready .venv-airflow/ready ## the tests that take too long for every run
	$(BIN)/pytest -n auto -m nightly
	$(BIN)/pytest tests/airflow -m nightly

test-airflow: .venv/ready .venv-airflow/ready ## the tests of the Airflow DAG, in an Airflow of its own
	$(BIN)/pytest tests/airflow

test-stand-ins: .venv/ready .venv-stand-ins/ready ## the SQL of warehouses, in engines much like them
	.venv-stand-ins/bin/pytest -W default tests/stand_ins

test-docs: .venv/ready docs ## the site that is made of docs/
	$(BIN)/pytest tests/docs_site

docs: .venv-docs/ready ## make a site of docs/ in site/; a dead link fails
	.venv-docs/bin/zensical build --clean --strict

airflow: .venv/ready .venv-airflow/ready ## start Airflow with the DAG, two workers and a warehouse, to look at
	@$(BIN)/python -m tests.airflow

test-lowest: .venv/ready ## all tests with the oldest versions that pyproject.toml allows
	$(PYTHON) -m venv --without-pip .venv-lowest
	$(INSTALL) .venv-lowest $(COMPILED) --resolution lowest-direct --editable ".[explore,lake,postgres,report]" --group dev
	.venv-lowest/bin/pytest --deselect tests/test_packaging.py

test-newest: .venv/ready ## all tests with the newest Python that pyproject.toml allows, or with NEWEST=python3.13
	$(NEWEST) -m venv --without-pip .venv-newest
	$(INSTALL) .venv-newest $(COMPILED) --require-hashes --requirement requirements.lock
	$(INSTALL) .venv-newest --no-deps --no-build-isolation --editable .
	.venv-newest/bin/pytest -n auto

explore: .venv/ready ## go on asking what was loaded, in a notebook in the browser
	$(BIN)/marimo edit pipelines/ecr_explore.py

hooks: .venv/ready ## let ruff and mypy look at each commit
	$(BIN)/pre-commit install

dist: .venv/ready ## build the wheel and the sdist
	$(BIN)/uv build --no-build-isolation --python $(BIN)/python

check: .venv/ready ## lint, strict types, and the workflows
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/zizmor --offline --strict-collection --quiet --no-progress .github

pictures: .venv/ready ## take the pictures of docs/report.md anew; needs Chromium
	$(BIN)/python -m tests.report.pictures

bench: .venv/ready .venv-bench/ready ## time this project beside the other ways, and write docs/performance.md
	$(BIN)/python -m tests.bench

lock: .venv/ready ## write requirements.lock anew, with the newest versions that pyproject.toml allows
	$(LOCK) pyproject.toml --all-extras --group dev --output-file requirements.lock
	$(LOCK) --group bench --output-file tests/bench/requirements.lock
	$(LOCK) --group docs --output-file tests/docs_site/requirements.lock
	$(LOCK) pyproject.toml --extra postgres --extra report --group airflow --output-file tests/airflow/requirements.lock
	$(LOCK) pyproject.toml --extra lake --extra postgres --group stand-ins --output-file tests/stand_ins/requirements.lock

clean: ## delete what was made
	rm -rf site .cache .venv .venv-airflow .venv-bench .venv-docs .venv-lowest .venv-newest .venv-stand-ins .mypy_cache .pytest_cache .ruff_cache .hypothesis

.venv/ready: requirements.lock pyproject.toml
	@echo "installing into .venv (once)"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "ecr-source needs Python 3.11 or newer")'
	@$(PYTHON) -m venv .venv
	@awk '/^[^ ]/ {uv = /^uv==/} uv' requirements.lock > .venv/uv.lock
	@$(BIN)/pip install -qq --no-compile --require-hashes --requirement .venv/uv.lock
	@$(INSTALL) .venv $(COMPILED) --require-hashes --requirement requirements.lock
	@$(INSTALL) .venv --no-deps --no-build-isolation --editable .
	@touch .venv/ready

.venv-bench/ready: .venv/ready tests/bench/requirements.lock
	@$(PYTHON) -m venv --without-pip .venv-bench
	@$(INSTALL) .venv-bench $(COMPILED) --require-hashes --requirement tests/bench/requirements.lock
	@touch .venv-bench/ready

.venv-docs/ready: .venv/ready tests/docs_site/requirements.lock
	@$(PYTHON) -m venv --without-pip .venv-docs
	@$(INSTALL) .venv-docs --require-hashes --requirement tests/docs_site/requirements.lock
	@touch .venv-docs/ready

.venv-airflow/ready: .venv/ready tests/airflow/requirements.lock
	@echo "installing Airflow into .venv-airflow (once)"
	@$(PYTHON) -m venv --without-pip .venv-airflow
	@$(INSTALL) .venv-airflow $(COMPILED) --require-hashes --requirement tests/airflow/requirements.lock
	@$(INSTALL) .venv-airflow --no-deps --editable .
	@touch .venv-airflow/ready

.venv-stand-ins/ready: .venv/ready tests/stand_ins/requirements.lock
	@$(PYTHON) -m venv --without-pip .venv-stand-ins
	@$(INSTALL) .venv-stand-ins --require-hashes --requirement tests/stand_ins/requirements.lock
	@$(INSTALL) .venv-stand-ins --no-deps --editable .
	@touch .venv-stand-ins/ready
