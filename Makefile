.PHONY: help demo test check bench lock clean
.DEFAULT_GOAL := help

PYTHON ?= python3
BIN := .venv/bin
INSTALL := $(BIN)/uv pip install --quiet --python .venv

help: ## what can be made
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/make \1 \t\2/p' Makefile | expand -t 20

demo: .venv/ready ## load an embedded registry into ecr.duckdb and ask it three questions
	@$(BIN)/ecr-source demo

test: check ## lint, types and all tests
	$(BIN)/pytest

check: .venv/ready ## lint and strict types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: .venv/ready ## time this project beside the other ways, and write docs/performance.md
	$(BIN)/python -m tests.bench

lock: .venv/ready ## write requirements.lock anew, with the newest versions that pyproject.toml allows
	$(BIN)/uv pip compile pyproject.toml --all-extras --group dev --group bench --universal --upgrade \
		--generate-hashes --no-header --quiet --output-file requirements.lock

clean: ## delete what was made
	rm -rf .venv ecr.duckdb .mypy_cache .pytest_cache .ruff_cache .hypothesis

.venv/ready: requirements.lock pyproject.toml
	@echo "installing into .venv (once)"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "ecr-source needs Python 3.11 or newer")'
	@$(PYTHON) -m venv .venv
	@awk '/^[^ ]/ {uv = /^uv==/} uv' requirements.lock > .venv/uv.lock
	@$(BIN)/pip install -qq --no-compile --require-hashes --requirement .venv/uv.lock
	@$(INSTALL) --require-hashes --requirement requirements.lock
	@$(INSTALL) --no-deps --no-build-isolation --editable .
	@touch .venv/ready
