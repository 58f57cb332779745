# Every target sets up what it needs in .venv, from nothing, and is quick the second time.
SHELL := bash
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/installed.stamp
PYTEST := $(BIN)/python -m pytest --numprocesses logical --maxprocesses 8 --dist loadfile

.PHONY: help install demo test test-all lint docs lock clean

help: ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

install: $(STAMP) ## set up .venv with the pinned dependencies and dimix itself

demo: $(STAMP) ## the paper's rows on 5,000 real digits: a table and a report in runs/demo
	$(BIN)/dimix reproduce --dataset mnist-5k --latent-dim 10 --epochs 30 --seed 0 --out runs/demo

test: lint ## lint, types, import directions, tests and doctests (under 10 minutes)
	$(PYTEST) -m "not slow and not browser"

test-all: lint ## the same with the slow tests and those in a browser (under 60 minutes)
	$(PYTEST)

lint: $(STAMP) ## style, formatting, types and import directions
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: $(STAMP) ## build the pages into runs/site, strictly and without a network
	$(BIN)/python docs/include.py --check
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet

# Adds what pyproject.toml newly asks for and pins what is then in .venv. To move one
# pin: `.venv/bin/pip install --upgrade NAME && make lock`. A build's local tag (+cpu)
# is dropped, so that the same lock serves machines with another build of PyTorch.
lock: $(STAMP) ## pin in requirements.lock what is in .venv
	$(BIN)/pip install --no-build-isolation --editable '.[io,demo,onnx,search,dev]'
	{ echo '# Every dependency of dimix with all its extras; written by `make lock`.'; \
	  $(BIN)/pip freeze --all --exclude dimix --exclude pip | sed -E 's/\+[a-z0-9.]+$$//'; \
	} > requirements.lock
	touch $(STAMP)

clean: ## remove .venv and what the tools cache; runs/ and results/ stay
	rm -rf .venv .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache dist
	find src tests -name __pycache__ -type d -prune -exec rm -rf {} +

$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version_info; v >= (3, 11) or sys.exit( \
	  f"dimix needs Python 3.11 or newer; $(PYTHON) is {v[0]}.{v[1]}. Use make PYTHON=...")'
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/pip install --requirement requirements.lock
	$(BIN)/pip install --no-deps --no-build-isolation --editable .
	touch $@
