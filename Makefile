# Every target works in a fresh clone: the first one that is run makes .venv and installs what CI uses.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
BENCH := .venv-bench
INSTALLED := $(VENV)/.installed

# Result folders of the study that are at hand; name others by `make study-page STUDY="..."`.
STUDY ?= $(wildcard results/zoo results/audioset)

.PHONY: demo test test-all test-cluster check format docs site study-page bench clean

$(INSTALLED): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev,plot,tune,video,export,hdf5,tensorboard,published,browser,ray,slurm,remote]'
	touch $@

demo: $(INSTALLED)  ## trains a teacher, a student alone and a distilled student on the built-in data
	$(BIN)/distillbench demo
	@echo "to go on: . $(BIN)/activate"

test: $(INSTALLED)  ## the fast tests, in random order, on every core
	$(BIN)/python -m pytest -n auto --dist loadgroup

test-all: $(INSTALLED)  ## the slow ones too
	$(BIN)/python -m pytest -n auto --dist loadgroup -m ''

test-cluster: $(INSTALLED)  ## sweeps on a Ray cluster of two nodes, which loses a worker, a node and who began it
	$(BIN)/python -m pytest -m slow tests/experiments/test_cluster.py tests/plugins/test_ray.py

check: $(INSTALLED) site  ## style, types, imports, and every link of the documentation
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
	$(BIN)/python docs/reference.py

site: $(INSTALLED)  ## the documentation as a site, in site/; a link that leads nowhere is an error
	$(BIN)/zensical build --clean --strict

study-page: $(INSTALLED)  ## the study's results as a page under docs/
	@test -n "$(strip $(STUDY))" || { echo "no results of the study are here: benchmarks/README.md says how they are made" >&2; exit 2; }
	$(BIN)/distillbench publish $(STUDY) --out build/study  # without the paths of this machine
	$(BIN)/distillbench page build/study --out docs/study-page --title "The study of distillbench: every method on one board"

format: $(INSTALLED)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV) $(BENCH) results site
