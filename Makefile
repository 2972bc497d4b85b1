# Each target does the set-up it needs; PYTHON=, TORCH= and TORCH_INDEX= are explained in scripts/setup.sh.
.DEFAULT_GOAL := help
.PHONY: help submit report test regress regress-accept bench bench-small small-model ablation check format weights image run-image prove-image sbom lock clean set-up
MAKEFLAGS += --no-print-directory
export PYTHON TORCH TORCH_INDEX

help:  ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' Makefile

submit: set-up  ## A checked submission zip: DATA=/data/mevis SPLIT=valid RECIPE=my.toml DIR=/weights RUN=runs/mine ARGS=...; the sample split without them
	@$(if $(DIR),MEVIS_WEIGHTS='$(DIR)') .venv/bin/mevis-submission submit \
		$(if $(RECIPE),--recipe '$(RECIPE)') $(if $(DATA),--data '$(DATA)') \
		$(if $(SPLIT),--split '$(SPLIT)') $(if $(RUN),--run '$(RUN)') $(ARGS)

report: set-up  ## The page about a finished run, made anew where something changed: RUN=runs/mine
	@.venv/bin/mevis-submission report \
		$(if $(RECIPE),--recipe '$(RECIPE)') $(if $(DATA),--data '$(DATA)') \
		$(if $(SPLIT),--split '$(SPLIT)') $(if $(RUN),--run '$(RUN)') $(ARGS)

test: set-up  ## Run the tests; ARGS="-k score", ARGS="-m slow", ARGS="-m gpu", ARGS="-m browser", JOBS=1
	@OMP_NUM_THREADS=1 .venv/bin/python -m pytest -n $(or $(JOBS),auto) --maxprocesses 8 --dist worksteal $(ARGS)

regress: set-up  ## Compare a run of the sample with the golden outputs in tests/golden; ARGS=--exact
	@.venv/bin/python -m scripts.regress $(ARGS)

regress-accept: set-up  ## Make the outputs of now the golden ones, and print what that changes
	@.venv/bin/python -m scripts.regress --accept

bench: set-up  ## Sentences scored per second, ours and the straightforward way; ARGS="--videos 50"
	@OMP_NUM_THREADS=1 .venv/bin/python -m scripts.benchmark.score $(ARGS)

bench-small: set-up  ## Take the tables and the picture of docs/performance.md anew on this CPU; some minutes
	@.venv/bin/python -m scripts.benchmark.document $(ARGS)

small-model: set-up  ## Train the small model from nothing into build/small, and go on where it stopped; ARGS="--seed 2"
	@.venv/bin/python -m scripts.train_sample_model build/small $(ARGS)

ablation: set-up  ## What sampling, procedure and votes do, on 200 clips made for it: MODELS="build/small/checkpoint ..."
	@.venv/bin/python -m scripts.ablation $(or $(MODELS),build/small/checkpoint) $(ARGS)

check: set-up  ## Lint, formatting and types; changes no file
	@scripts/tools.sh
	@.cache/tools/bin/hadolint Dockerfile
	@.cache/tools/bin/shellcheck .ci/run scripts/*.sh scripts/*/*.sh scripts/*/*.sbatch
	@.venv/bin/ruff check .
	@.venv/bin/ruff format --check .
	@.venv/bin/mypy

format: set-up  ## Reformat and mend what the linter can mend
	@.venv/bin/ruff check --fix .
	@.venv/bin/ruff format .

weights: set-up  ## Fetch checkpoints as weights.lock says: WEIGHTS="Sa2VA-8B" DIR=/weights ARGS=...; without WEIGHTS, list them
	.venv/bin/mevis-submission weights $(if $(WEIGHTS),fetch $(WEIGHTS),list)$(if $(DIR), --dir '$(DIR)') $(ARGS)

image: set-up  ## Build the container image: TORCH=cpu or cuda12, IMAGE=NAME, ARGS="--network host"
	@.venv/bin/mevis-submission container build $(if $(TORCH),--torch '$(TORCH)') \
		$(if $(IMAGE),--image '$(IMAGE)') $(ARGS)

run-image: set-up  ## `submit` in the container, without network: the variables of submit, GPUS=none|all|2|device=0,1, IMAGE=NAME
	@.venv/bin/mevis-submission container run $(if $(IMAGE),--image '$(IMAGE)') \
		$(if $(GPUS),--gpus '$(GPUS)') $(if $(DIR),--weights '$(DIR)') \
		$(if $(DATA),--data '$(DATA)') $(if $(RECIPE),--recipe '$(RECIPE)') \
		$(if $(RUN),--run '$(RUN)') submit $(if $(SPLIT),--split '$(SPLIT)') $(ARGS)

prove-image: set-up  ## Build the image on a stand-in base without a registry, run it, compare the zips; 5 to 10 minutes
	@scripts/container/prove.sh

sbom: set-up  ## Bill of materials of the CUDA lock (CycloneDX) in build/; TORCH=cpu for the other
	@scripts/sbom.sh

lock:  ## Resolve the dependency locks anew (needs uv)
	@scripts/lock.sh

clean:  ## Remove the set-up and the caches; results in runs/ stay
	@rm -rf .venv .cache build ./*.egg-info
	@find submission scripts tests -type d -name __pycache__ -exec rm -rf {} +

set-up:
	@scripts/setup.sh
