# Each target makes .venv first when it is missing. Needs python3 (3.11 to 3.13), make and a network.
PYTHON ?= python3
CORES ?= 2
BRCA_M2C ?=
VERIFY ?=
LIZARD ?=
DATASETS ?=
SEEDS ?=
GPUS ?= 1
TRAIN ?=
PRESET ?= workflow/presets/demo.yaml
RUN = .venv/bin/snakemake --workflow-profile workflow/profiles/local --resources gpu=$(GPUS) --cores $(CORES)

comma := ,
quote := '
whole = $(if $(filter /%,$(firstword $(1))),$(1),$(CURDIR)/$(1))# a path from the root; abspath would cut it at blanks
escaped = $(subst $(quote),$(quote)\$(quote)$(quote),$(subst ",\",$(subst \,\\,$(call whole,$(1)))))
folders = $(if $(BRCA_M2C),"brca_m2c": {"path": "$(call escaped,$(BRCA_M2C))"})$(if $(and $(BRCA_M2C),$(LIZARD)),$(comma) )$(if \
  $(LIZARD),"lizard": {"path": "$(call escaped,$(LIZARD))"})
chosen = $(foreach one,$(DATASETS),"$(one)"$(comma))
seeds = $(foreach one,$(subst $(comma), ,$(SEEDS)),$(one)$(comma))
GIVEN = $(if $(BRCA_M2C)$(LIZARD)$(DATASETS)$(SEEDS),--config $(if $(BRCA_M2C)$(LIZARD),datasets='{$(folders)}') $(if \
  $(DATASETS),run='{"datasets": [$(chosen)]}') $(if $(SEEDS),seeds='[$(seeds)]'))

CODE = src tests benchmarks workflow/schemas docs/*.py setup.py
PYTEST = OMP_NUM_THREADS=1 .venv/bin/python -m pytest -q

.DEFAULT_GOAL = demo
.PHONY: help home demo demo-all test test-unit test-long brca gpu-day paper verify results report bench schema lint format

help:  ## what there is
	@grep -E '^[a-z-]+:.*##' Makefile | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 12

demo: home .venv/ready  ## every stage on simulated tissue in 4 to 10 minutes: tables and pictures in results/phantom/
	$(RUN) --configfile workflow/presets/demo.yaml
	@echo "Open results/report.html; tables and pictures: results/phantom/tables/"

demo-all: home .venv/ready  ## every row of every table of both papers on simulated tissue, in results/all/
	$(RUN) --configfile workflow/presets/demo-all.yaml
	@echo "Open results/all/report.html; tables and pictures: results/all/phantom/tables/"

brca: home .venv/ready  ## small models on the real BRCA-M2C (BRCA_M2C=folder, else downloaded); TRAIN=1: no bundled weights
	$(RUN) --configfile workflow/presets/brca-small.yaml $(if $(TRAIN),workflow/presets/brca-train.yaml) $(GIVEN)
	@echo "Open results/report.html; tables and pictures: results/brca_m2c/tables/"

gpu-day paper: CORES = $(shell nproc)

gpu-day: home .venv/ready  ## the TopoCellGen tables on BRCA-M2C with smaller networks: 0.7 A100-days, calculated (GPUS=cards)
	.venv/bin/cellscaper plan --gpus $(GPUS) --configfile workflow/presets/gpu-day.yaml $(GIVEN)
	$(RUN) --configfile workflow/presets/gpu-day.yaml $(GIVEN)

paper: home .venv/imagenet  ## the papers' values, 3 seeds: 156 A100-days of BRCA-M2C, 25 of Lizard, calculated (LIZARD=folder; DATASETS=brca_m2c; SEEDS=0; GPUS=cards)
	.venv/bin/cellscaper plan --gpus $(GPUS) $(GIVEN)
	$(RUN) $(GIVEN)

verify: home .venv/ready  ## committed results against a rerun with the bundled weights (VERIFY="--full" or "--results FOLDER"; BRCA_M2C=folder)
	.venv/bin/cellscaper verify --cores $(CORES) $(VERIFY) $(GIVEN)

report: home .venv/ready  ## results/report.html of a run (PRESET=its preset); runs what is missing, nothing else
	$(RUN) make_report --configfile $(PRESET)

# One session, and the files that take longest at its beginning. Three processes: jobs on the test cluster mostly wait
test: .venv/oracles  ## all tests but the long campaigns; three at a time, those that measure time at the end
	$(PYTEST) -n 3 --dist loadscope --no-loadscope-reorder -m "not alone" --durations=25 tests/workflow tests/real tests/unit
	$(PYTEST) -m alone tests/workflow

test-unit: .venv/oracles  ## the fast ones
	$(PYTEST) -n 2 -m "not slow" tests/unit

test-long: .venv/oracles  ## the campaigns in full: every rule killed and damaged, readers fuzzed; writes docs/results/test-long.md (LONG=files of tests)
	.venv/bin/python tests/long.py $(LONG)

bench: .venv/oracles  ## speed claims on one page, results/benchmarks.md; a busy machine makes point_diffusion miss its 50 ms
	.venv/bin/python benchmarks/page.py

schema: .venv/ready  ## the configuration's schema and the pages and picture made from it, after settings or rules changed
	.venv/bin/python workflow/schemas/generate.py
	.venv/bin/python docs/make_config.py
	.venv/bin/python docs/make_gpu.py
	.venv/bin/python docs/make_rules.py

results: .venv/ready  ## the tables of docs/results/*.md from the CSV files beside them
	.venv/bin/python docs/make_results.py

lint: .venv/ready  ## style and types
	.venv/bin/ruff check $(CODE)
	.venv/bin/ruff format --check $(CODE)
	.venv/bin/mypy
	.venv/bin/snakefmt --check Snakefile workflow
	.venv/bin/snakemake --lint --snakefile workflow/Snakefile

format: .venv/ready  ## style, mended
	.venv/bin/ruff check --fix $(CODE)
	.venv/bin/ruff format $(CODE)
	.venv/bin/snakefmt Snakefile workflow

home:  # Snakemake ends with a traceback where its cache cannot be written
	@cache="$${XDG_CACHE_HOME:-$$HOME/.cache}"; mkdir -p "$$cache/snakemake" 2>/dev/null && test -w "$$cache/snakemake" || { \
	  echo "error: $$cache cannot be written, and Snakemake needs a cache there; set XDG_CACHE_HOME to a folder of yours" >&2; \
	  exit 1; }

.venv/ready: pyproject.toml envs/constraints.txt
	@echo "Making .venv with the pinned packages of envs/constraints.txt (one to five minutes, about 2 GB)"
	$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14) and f"cellscaper needs Python 3.11 to 3.13, {sys.executable} is {sys.version.split()[0]}; say make PYTHON=...")'
	$(PYTHON) -m venv .venv
	.venv/bin/python -m pip install --quiet --disable-pip-version-check -c envs/constraints.txt -e '.[dev,slurm]'
	@touch $@

# ImageNet weights of MCSpatNet's encoder. Without them it starts from He's initialisation, and its tables say so
.venv/imagenet: .venv/ready
	@echo "Adding torchvision and its ImageNet weights of VGG-16 (528 MB), from which the papers' MCSpatNet starts"
	@.venv/bin/python -m pip install --quiet --disable-pip-version-check -c envs/constraints.txt -e '.[imagenet]' \
	  && .venv/bin/python -c 'from cellscaper.detectors import mcspatnet_network as n; raise SystemExit(n.imagenet_encoder() is None)' \
	  && touch $@ || echo "MCSpatNet will start from He's initialisation, and its tables say so; make .venv/imagenet tries again" >&2

.venv/oracles: .venv/ready
	@echo "Adding the libraries that tests and benchmarks compare with"
	.venv/bin/python -m pip install --quiet --disable-pip-version-check -c envs/constraints.txt -e '.[oracles]'
	@touch $@
