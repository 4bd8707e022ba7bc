# The commands of the book; the README explains them, and a bare `make` lists them.
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help book test lab execute notebooks data bench race lint clean check-tests
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c

PYTHON ?= python3
PY := .venv/bin/python
# One thread: sums then round alike from run to run, and on a busy two-core machine one thread is the faster choice.
export OMP_NUM_THREADS := 1
export OPENBLAS_NUM_THREADS := 1
export MKL_NUM_THREADS := 1
export PYTHONHASHSEED := 0
export PYDEVD_DISABLE_FILE_VALIDATION := 1
export JUPYTER_PLATFORM_DIRS := 1
export MPLBACKEND :=

help:
	@echo "make book       build the book and say where it is (creates .venv on first use)"
	@echo "make test       run everything that continuous integration runs"
	@echo "make lab        open the chapters in JupyterLab"
	@echo "make execute    run and normalize all chapters, or one: CHAPTER=sound"
	@echo "make notebooks  run all chapters and compare every stored output"
	@echo "make data       make the corpus again (needs espeak-ng, flite and festival)"
	@echo "make bench      measure speed and accuracy and store the results (two hours)"
	@echo "make race       race the optimizers and store the results (under an hour; may be stopped and goes on)"
	@echo "make lint       look at the code and the notebooks without running them"
	@echo "make clean      remove what was built (.venv stays: remove it by hand)"

# The environment, from the one lock. The stamp is written last: an interrupted installation starts again.
.venv/installed: requirements.txt
	@command -v "$(PYTHON)" >/dev/null || { echo "make: '$(PYTHON)' not found: install Python 3.11 or newer, or say make PYTHON=/path/to/python3"; exit 1; }
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "make: $$("$(PYTHON)" --version) is too old: this book needs Python 3.11 or newer (make PYTHON=python3.11 $(MAKECMDGOALS))"; exit 1; }
	@"$(PYTHON)" -c 'import venv, ensurepip' 2>/dev/null || { echo "make: '$(PYTHON)' cannot make a virtual environment: install its venv module (on Debian and Ubuntu: apt install python3-venv)"; exit 1; }
	@echo "Creating the environment in .venv (a few minutes, once)"
	@"$(PYTHON)" -m venv --clear .venv
	@$(PY) -m pip install --quiet --disable-pip-version-check --requirement requirements.txt || { echo "make: the packages could not be installed: is the package registry reachable? Say make again when it is."; exit 1; }
	@$(PY) -c 'import os, pathlib, sysconfig; pathlib.Path(sysconfig.get_paths()["purelib"], "speechlib.pth").write_text(os.getcwd() + "\n", encoding="utf-8")'
	@touch $@

book: .venv/installed
	@rm -rf _build
	@said=$$(.venv/bin/jupyter-book build . -W --keep-going -n --quiet 2>&1) || { echo "$$said"; echo "make: the book did not build; the first lines with WARNING or ERROR above say why"; exit 1; }
	@echo "The book is at $(CURDIR)/_build/html/index.html"

check-tests:
	@command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null || [ -n "$${CHROMIUM:-}" ] || { echo "make: no Chromium found: the pages are tested in it. Install it (on Debian: apt install chromium) or set CHROMIUM=/path/to/it"; exit 1; }
	@command -v npm >/dev/null || { echo "make: npm not found: the accessibility rules (axe-core) come from it. Install Node.js with npm"; exit 1; }

node_modules/installed: package.json package-lock.json
	@npm ci --silent --no-audit --no-fund --ignore-scripts || { echo "make: axe-core could not be installed: is the npm registry reachable?"; exit 1; }
	@touch $@

test: check-tests .venv/installed node_modules/installed
	@$(MAKE) --no-print-directory lint
	@$(PY) -m pytest -n 2 --ignore=tests/test_book.py --ignore=tests/test_gates.py
	@$(MAKE) --no-print-directory notebooks
	@$(MAKE) --no-print-directory book
	@SPEECHLIB_BOOK_HTML="$(CURDIR)/_build/html" $(PY) -m pytest tests/test_book.py
	@$(PY) -m pytest tests/test_gates.py
	@echo "make test: everything passed"

lint: .venv/installed
	@$(PY) -m ruff check .
	@$(PY) tests/notebooks.py lint

notebooks: .venv/installed
	@$(PY) tests/notebooks.py run

execute: .venv/installed
	@$(PY) tests/notebooks.py execute $(if $(CHAPTER),chapters/$(CHAPTER).ipynb)

lab: .venv/installed
	@$(PY) -m jupyter lab --notebook-dir=chapters

data: .venv/installed
	@$(PY) data/make_corpus.py

bench: .venv/installed
	@$(PY) benchmarks/features.py
	@$(PY) benchmarks/autograd.py
	@$(PY) benchmarks/optim.py
	@$(PY) benchmarks/scoreboard.py
	@$(PY) benchmarks/networks.py
	@$(PY) benchmarks/people.py

race: .venv/installed
	@$(PY) benchmarks/race.py

clean:
	@rm -rf _build node_modules .pytest_cache .ruff_cache .hypothesis
	@find speechlib tests benchmarks data _ext chapters -name __pycache__ -prune -exec rm -rf {} +
