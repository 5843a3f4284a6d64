# The front door: every target sets up .venv from requirements.lock first.
SHELL := /bin/sh
PYTHON ?= python3
CORES ?= all
CONFIG ?=
BIN := $(CURDIR)/.venv/bin
export PATH := $(BIN):$(PATH)
export OMP_NUM_THREADS ?= 1
export PYTHONPATH := $(CURDIR)

.PHONY: help run test test-unit test-workflow test-integration validate demo-dft bench lint format lock clean-venv

help:  ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 20

.venv/installed.lock: requirements.lock pyproject.toml envs/setup.sh
	@envs/setup.sh $(PYTHON)

run: .venv/installed.lock  ## the embedded campaign: beta- and amorphous Li3PS4, to results/report.html
	$(BIN)/snakemake --cores $(CORES) $(if $(CONFIG),--configfile $(CONFIG))

test: test-unit test-workflow  ## unit tests and small real campaigns

test-unit: .venv/installed.lock
	$(BIN)/pytest tests/unit -n 2 -q

test-workflow: .venv/installed.lock
	$(BIN)/pytest tests/workflow -n 2 --dist worksteal -q

test-integration: .venv/installed.lock  ## README's commands in a fresh clone, external programs
	$(BIN)/pytest tests/integration -q

validate: .venv/installed.lock  ## long statistics: coverage of the error bars
	$(BIN)/pytest tests/validate -n 2 --dist loadgroup -q

demo-dft: .venv/installed.lock  ## labels by a real code: needs quantum-espresso and cp2k-data
	$(BIN)/hopecho pseudo gth Li P S --out store/pseudo
	$(BIN)/snakemake --cores $(CORES) --configfile campaigns/espresso-demo.yaml

bench: .venv/installed.lock  ## measurements behind the numbers in docs
	$(BIN)/python benchmarks/msd.py
	$(BIN)/python benchmarks/acf.py
	$(BIN)/python benchmarks/efg.py
	$(BIN)/python benchmarks/efg_accuracy.py
	$(BIN)/python benchmarks/labels.py
	$(BIN)/python benchmarks/featurise.py
	$(BIN)/python benchmarks/fit.py
	$(BIN)/python benchmarks/efg_stream.py
	$(BIN)/python benchmarks/pair_style.py
	$(BIN)/python benchmarks/engines.py
	$(BIN)/python benchmarks/scaling.py
	$(BIN)/python benchmarks/conservation.py
	$(BIN)/python benchmarks/gap.py
	$(BIN)/python benchmarks/overhead.py

lint: .venv/installed.lock  ## ruff, mypy, snakefmt, snakemake --lint, codespell
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/snakefmt --check Snakefile rules
	$(BIN)/snakemake --lint
	$(BIN)/codespell

format: .venv/installed.lock  ## rewrite the sources in the project's format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/snakefmt Snakefile rules

lock: .venv/installed.lock  ## resolve requirements.lock again (needs uv)
	uv pip compile pyproject.toml --extra dev --extra slurm --extra xtb --universal --python-version 3.11 \
	    --generate-hashes --no-header --no-annotate --upgrade -o requirements.lock

clean-venv:  ## remove the environment
	rm -rf .venv
