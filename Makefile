# Each target makes .venv first when it is missing. Needs python3 (3.11 to 3.13), make and a network.
PYTHON ?= python3
CORES ?= 2
BRCA_M2C ?=
PRESET ?= workflow/presets/demo.yaml
RUN = .venv/bin/snakemake --workflow-profile workflow/profiles/local --cores $(CORES)
brca_path = $(if $(BRCA_M2C),datasets='{"brca_m2c": {"path": "$(abspath $(BRCA_M2C))"}}')

.PHONY: demo test test-unit brca paper report bench lint format

demo: .venv/ready  ## every stage on simulated tissue: tables and pictures in results/phantom/
	$(RUN) --configfile workflow/presets/demo.yaml
	@echo "Open results/report.html; tables and pictures: results/phantom/tables/"

brca: .venv/ready  ## small models on the real BRCA-M2C (BRCA_M2C=folder, else it is downloaded)
	$(RUN) --configfile workflow/presets/brca-small.yaml $(if $(BRCA_M2C),--config $(brca_path))
	@echo "Open results/report.html; tables and pictures: results/brca_m2c/tables/"

paper: .venv/ready  ## the papers' values: a GPU and days; add --workflow-profile workflow/profiles/slurm for a cluster
	$(RUN) $(if $(BRCA_M2C),--config $(brca_path))

report: .venv/ready  ## results/report.html of a run (PRESET=its preset); runs what is missing, nothing else
	$(RUN) make_report --configfile $(PRESET)

test: test-unit  ## all tests
	.venv/bin/python -m pytest tests/workflow tests/real

test-unit: .venv/oracles  ## the fast ones, two at a time
	OMP_NUM_THREADS=1 .venv/bin/python -m pytest -q -n 2 tests/unit

bench: .venv/oracles  ## speed claims on one page, results/benchmarks.md; a busy machine makes point_diffusion miss its 50 ms
	.venv/bin/python benchmarks/page.py

lint: .venv/ready
	.venv/bin/ruff check src tests benchmarks
	.venv/bin/ruff format --check src tests benchmarks
	.venv/bin/mypy
	.venv/bin/snakefmt --check Snakefile workflow

format: .venv/ready
	.venv/bin/ruff check --fix src tests benchmarks
	.venv/bin/ruff format src tests benchmarks
	.venv/bin/snakefmt Snakefile workflow

.venv/ready: pyproject.toml envs/constraints.txt
	@echo "Making .venv with the pinned packages of envs/constraints.txt (one to five minutes, about 2 GB)"
	$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14) and f"cellscaper needs Python 3.11 to 3.13, {sys.executable} is {sys.version.split()[0]}; say make PYTHON=...")'
	$(PYTHON) -m venv .venv
	.venv/bin/python -m pip install --quiet --disable-pip-version-check -c envs/constraints.txt -e '.[dev,slurm]'
	@touch $@

.venv/oracles: .venv/ready
	@echo "Adding the libraries that tests and benchmarks compare with"
	.venv/bin/python -m pip install --quiet --disable-pip-version-check -c envs/constraints.txt -e '.[oracles]'
	@touch $@
