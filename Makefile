# The commands of this project. `make help` lists them.

PYTHON ?= python3
VENV := .venv
STAMP := $(VENV)/.installed
# Given to pytest: `make test ARGS="tests/unit -k cgroup"`.
ARGS ?=

# Without byte code beside the sources every command starts more slowly.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help setup packages test demo bench lint format clean

help:
	@echo "make setup    install what is missing, and boxship into $(VENV)"
	@echo "make demo     build an image, ship it, run it: the whole voyage (root)"
	@echo "make test     set up, then run every check and test (root for most of them)"
	@echo "make bench    measure beside Docker and Podman; half an hour (root)"
	@echo "make lint     only the checks: layers, types, style, sizes"
	@echo "make format   format the code"
	@echo "make clean    remove what setup and tests made in this directory"

setup: packages $(STAMP)

packages:
	@.ci/packages run

# Editable, so that only a change of the dependencies or of the scripts has to install again.
$(STAMP): pyproject.toml bin/boxship bin/boxship-runtime
	@test -x $(VENV)/bin/python || $(PYTHON) -m venv $(VENV)
	@$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --editable '.[test]'
	@# Without bytecode every command compiles what it imports: 10 ms of a 30 ms `boxship run`.
	@$(VENV)/bin/python -m compileall -q src
	@touch $@

test: setup
	@.ci/packages test
	@$(VENV)/bin/python -m pytest --quiet --run-slow --fail-on-leaks $(ARGS)

demo: setup
	@.ci/packages demo
	@demo/run

# Those that fill and empty a file system come last: they slow down what follows them.
bench: setup
	@.ci/packages bench
	@for name in start exec parallel density listing build images; do \
		echo "=== $$name"; $(VENV)/bin/python bench/$$name.py || exit 1; \
	done
	@$(VENV)/bin/python bench/table.py

lint: $(STAMP)
	@$(VENV)/bin/python -m pytest --quiet --run-slow tests/meta

format: $(STAMP)
	@$(VENV)/bin/ruff check --quiet --fix-only src tests bench demo
	@$(VENV)/bin/ruff format --quiet src tests bench demo

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache bench/out
