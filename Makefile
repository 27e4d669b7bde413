# Everything that people and CI run. `make demo` and `make test` set up their own .venv first; the second time is quick.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# Two processes, each with a run of neighbouring tests, which share what their folders make; whoever ends first helps.
TEST_ARGS ?= -n 2 --dist worksteal
MARKS ?= not slow
MINUTES ?= 5

.PHONY: demo test slow coverage browser postgresql slurm lint style types types-again docs bench pages study gallery picture kills soak train-shipped serve setup setup-dev clean

demo: setup  ## Capture and screen the shipped policy, show its answer, draw it into demo-output/; DECIDE=1 decides live
	$(BIN)/attnscope demo --out demo-output $(if $(DECIDE),--decide)

test: setup-dev browser postgresql  ## Run every test but the slow ones
	$(BIN)/python -m pytest -m "$(MARKS)" $(TEST_ARGS)

slow: setup-dev browser postgresql slurm $(VENV)/lab/.ready  ## Run the tests that are marked slow: every page of docs as its reader would, JupyterLab
	ATTNSCOPE_JUPYTERLAB=$(abspath $(VENV))/lab/bin/jupyter-lab $(BIN)/python -m pytest -m slow

# JupyterLab is only driven by a test, so it has an environment of its own: nothing else gets its hundred packages.
$(VENV)/lab/.ready: | $(BIN)/python
	$(PYTHON) -m venv $(VENV)/lab
	$(VENV)/lab/bin/python -m pip install --quiet "jupyterlab==4.*" "anywidget==0.11.0"
	@touch $@

browser:  ## Chromium and its driver, for the tests of the report's page: Debian and root; else says what to install
	@if command -v chromium >/dev/null && command -v chromedriver >/dev/null; then :; \
	elif [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then apt-get update -qq \
	&& DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium chromium-driver >/dev/null; \
	else echo "The report's page is tested in Chromium: install chromium and chromium-driver (or chromedriver), or those tests fail."; fi

postgresql:  ## PostgreSQL, for the tests of the job database: Debian and root; else says what to install
	@if ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || command -v initdb >/dev/null; then :; \
	elif [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then apt-get update -qq \
	&& DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends postgresql >/dev/null; \
	else echo "The job database is tested on PostgreSQL: install postgresql, or those tests fail."; fi

slurm:  ## Slurm and munge, for the slow test of a worker under Slurm: Debian and root; else says what to install
	@if command -v slurmctld >/dev/null && command -v slurmd >/dev/null && command -v sbatch >/dev/null && command -v munged >/dev/null; then :; \
	elif [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then apt-get update -qq \
	&& DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends slurm-wlm munge >/dev/null; \
	else echo "A worker is tested under Slurm: install slurm-wlm and munge, and be root; else that test is skipped."; fi

coverage: setup-dev browser postgresql  ## Run every test and list the lines that none reaches; slower than make test
	$(BIN)/python -m coverage erase
	$(BIN)/python -m coverage run -m pytest $(TEST_ARGS)
	$(BIN)/python -m coverage combine --quiet
	$(BIN)/python -m coverage report

docs: setup-dev  ## The site with the API reference, into site/; a broken link or an unexplained parameter fails
	$(BIN)/mkdocs build --strict --quiet

lint: style types types-again  ## Ruff, format, mypy strict, basedpyright; --jobs 2 checks types twice at a time

style: setup-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: setup-dev
	$(BIN)/mypy

types-again: setup-dev
	$(BIN)/basedpyright

bench: setup-dev  ## Print the ratios that docs/benchmarks.md quotes; BENCH_ARGS="capture --quick" for less
	$(BIN)/python -m benchmarks $(BENCH_ARGS)

study: setup-dev  ## Try every strategy on the shipped policies for docs/compression-study.md; hours, goes on where it was
	$(BIN)/python -m benchmarks.study $(STUDY_ARGS)

gallery: setup-dev  ## Capture the shipped policy and draw docs/gallery.md
	$(BIN)/python -m benchmarks.gallery

picture: setup-dev browser  ## Capture the shipped policy and photograph the live page for the README
	$(BIN)/python -m benchmarks.picture $(CAPTURE)

kills: setup-dev postgresql  ## Kill worker and service ten times each, on a disk, over PostgreSQL and a bucket, under workers that ask, and on a Ray cluster; every array must be bit-equal
	ATTNSCOPE_KILLS=10 $(BIN)/python -m pytest tests/contract/faults/test_interruptions.py tests/contract/faults/test_kills.py tests/contract/workers tests/contract/clusters -k kills

pages: setup-dev  ## Compute the tables of every page, and the cards, from stored arrays; PAGES_ARGS=--pictures draws the figures
	$(BIN)/python -m benchmarks.pages $(PAGES_ARGS)

train-shipped: setup-dev  ## Train, evaluate and write the policies that travel with attnscope; hours on a CPU, goes on where it was
	$(BIN)/python -m benchmarks.shipping --runs runs --images docs/images
	$(BIN)/python -m benchmarks.shipping.measured --runs runs
	$(BIN)/python -m benchmarks.pages --pictures

soak: setup-dev  ## Fifty clients on a loopback service for MINUTES, then again beside hostile ones; the worker killed, every value checked
	$(BIN)/python -m benchmarks.soak --minutes $(MINUTES)

serve: setup  ## Run the service on loopback, captures in ./data
	$(BIN)/attnscope-server serve --data-root data

setup: $(VENV)/.server
setup-dev: $(VENV)/.dev

# An installed CUDA torch is kept: seen from the new environment, and left out of the constraints once it is there.
$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "attnscope needs Python 3.11 or newer: make PYTHON=python3.12 …"; exit 1; }
	@if $(PYTHON) -c 'import torch, sys; sys.exit(torch.version.cuda is None)' 2>/dev/null; \
	then $(PYTHON) -m venv --system-site-packages $(VENV); else $(PYTHON) -m venv $(VENV); fi
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"

$(VENV)/constraints.txt: constraints.txt | $(BIN)/python
	@if $(BIN)/python -c 'import torch' 2>/dev/null; then grep -v '^torch==' constraints.txt > $@; else cp constraints.txt $@; fi

$(VENV)/.server: pyproject.toml $(VENV)/constraints.txt
	$(BIN)/python -m pip install --quiet --editable '.[server]' --constraint $(VENV)/constraints.txt
	@touch $@

$(VENV)/.dev: pyproject.toml $(VENV)/constraints.txt
	$(BIN)/python -m pip install --quiet --editable '.[server]' --group dev --constraint $(VENV)/constraints.txt
	@touch $(VENV)/.server $@

clean:  ## Remove what the recipes made
	rm -rf $(VENV) demo-output dist site .mypy_cache .pytest_cache .ruff_cache .hypothesis
