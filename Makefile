# The two commands of the README are `make demo` and `make test`.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
# Processes among which `make test` shares out the files of tests.
WORKERS ?= 2
INSTALLED = $(VENV)/.installed

.PHONY: install demo test integration lint check torture clean

install: $(INSTALLED)

# torch goes first and alone: pinned, so that pip takes the build that constraints.txt names and no other.
$(INSTALLED): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet -c constraints.txt torch
	$(BIN)/python -m pip install --quiet -c constraints.txt -e ".[offline,track,skos,parquet,datasets,search,spacy,peft,linear-tree,lexical,serve,onnx,dev]"
	touch $(INSTALLED)

demo: install
	$(BIN)/python examples/demo.py

test: install
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile

# What needs a browser or another program; run by hand.
integration: install
	$(BIN)/python -m pytest -m integration

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

check: lint test

torture: install
	$(BIN)/python tests/torture/torture.py --rounds 20
	$(BIN)/python tests/torture/experiment_torture.py --kills 10
	$(BIN)/python tests/torture/fits_torture.py --rounds 10
	$(BIN)/python tests/torture/folder_torture.py --cases 5000

clean:
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis demo-output
