# Every target works in a fresh clone: the first one that is run makes .venv and installs what CI uses.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
BENCH := .venv-bench
INSTALLED := $(VENV)/.installed

.PHONY: demo test test-all check format docs bench clean

$(INSTALLED): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev,plot,tune,video,export,hdf5,remote,tensorboard]'
	touch $@

demo: $(INSTALLED)  ## trains a teacher, a student alone and a distilled student on the built-in data
	$(BIN)/distillbench run --schedule teacher --results results/demo
	$(BIN)/distillbench run --schedule scratch --selector uniform --k 15 --results results/demo
	$(BIN)/distillbench run --schedule serial --selector uniform --k 15 --results results/demo
	$(BIN)/distillbench leaderboard results/demo
	@echo "next: . $(BIN)/activate; distillbench leaderboard results/demo --format csv; distillbench --help"

test: $(INSTALLED)  ## the fast tests, in random order, on every core
	$(BIN)/python -m pytest -n auto --dist loadgroup

test-all: $(INSTALLED)  ## the slow ones too
	$(BIN)/python -m pytest -n auto --dist loadgroup -m ''

check: $(INSTALLED)  ## style, types, imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

$(BENCH)/.installed: pyproject.toml constraints.txt
	test -x $(BENCH)/bin/python || $(PYTHON) -m venv $(BENCH)
	$(BENCH)/bin/python -m pip install --quiet --upgrade pip
	$(BENCH)/bin/python -m pip install --quiet --constraint constraints.txt --editable '.[bench,hdf5,remote]'
	touch $@

bench: $(BENCH)/.installed  ## every speed benchmark against its peers: one table
	$(BENCH)/bin/python benchmarks/speed/bench.py

docs: $(INSTALLED)  ## the pages that are made from the code
	$(BIN)/python docs/generate.py

format: $(INSTALLED)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV) $(BENCH) results
