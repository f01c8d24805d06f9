.DEFAULT_GOAL := help
SHELL := bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: help setup run test coverage settings hooks lowest sbom drills check audit format benchmark benchmark-serving compile lock clean

help:  ## List what can be made
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# Installed once for each state of the lock file.
$(VENV)/.ready: locks/dev.txt pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement locks/build.txt
	$(BIN)/uv pip sync --quiet --compile-bytecode --python $(BIN)/python --require-hashes locks/dev.txt
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $@

setup: $(VENV)/.ready  ## Make .venv with everything in it, the foreact command included

run: setup  ## Demo data through every step to published forecasts
	$(BIN)/foreact demo

test: setup  ## Run every test; OPTIONS="..." go to pytest
	$(BIN)/pytest $(OPTIONS)

coverage: setup  ## Run every test and name the lines that none reaches
	$(BIN)/pytest --cov --cov-report=term:skip-covered $(OPTIONS)

sbom: setup  ## Write each image's bill of materials (CycloneDX) into build/; after make image, BUILT=1 adds its base's packages
	DOCKER=$(DOCKER) $(BIN)/python docker/sbom.py $(if $(BUILT),pipeline=$(pipeline):$(TAG) serving=$(serving):$(TAG))

drills: setup  ## Run every drill (make drill-NAME: one), results into docs/drills.md
	$(BIN)/python -m tests.drills --out docs/drills.md

drill-%: setup
	$(BIN)/python -m tests.drills $* --out docs/drills.md

# yamllint comes under the GPL: it is run, and no part of what is locked or shipped.
check: setup  ## Format, lint, types and drift of what is generated
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/uv tool run --quiet yamllint@1.37.1 --strict .
	$(BIN)/foreact compile --check
	$(BIN)/python docs/settings.py --check
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --resolution lowest-direct --all-extras --group dev pyproject.toml >/dev/null
	$(BIN)/python -m tests.security.scan
	$(BIN)/python -m tests.security.dependencies

audit: setup  ## Ask the network which locked dependencies are known to be vulnerable
	for lock in locks/*.txt; do $(BIN)/uv tool run pip-audit@2.10.1 --disable-pip --require-hashes --requirement $$lock || exit 1; done

format: setup  ## Format the code and mend what the linter can
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# The peers live in an environment of their own: they want other versions of what the product uses.
benchmark: setup  ## Cost by size, and accuracy beside what a user would pick instead
	test -x .peers/bin/python || { $(BIN)/uv venv --quiet .peers && $(BIN)/uv pip install --quiet --python .peers/bin/python statsforecast==2.1.1 mlforecast==1.1.0 lightgbm==4.7.0 prophet==1.5.0; }
	$(BIN)/python -m tests.benchmarks.forecasting scaling
	$(BIN)/python -m tests.benchmarks.forecasting stores
	$(BIN)/python -m tests.benchmarks.forecasting accuracy --peers .peers/bin/python

benchmark-serving: setup  ## The service beside a bare route and model servers, how soon pages are seen, how long an update takes
	$(BIN)/python -m tests.benchmarks.serving
	$(BIN)/python -m tests.benchmarks.serving --models
	$(BIN)/python -m tests.benchmarks.serving --beside
	$(BIN)/python -m tests.benchmarks.chain
	$(BIN)/python -m tests.benchmarks.pages
	$(BIN)/python -m tests.benchmarks.refreshing

settings: setup  ## Write docs/settings.md from the settings classes
	$(BIN)/python docs/settings.py

hooks: setup  ## Let git run make check before each commit
	$(BIN)/pre-commit install

# What is old may warn of what came after it.
lowest: setup  ## Test the oldest dependencies that pyproject.toml allows
	$(BIN)/uv venv --quiet --clear --python $(BIN)/python .lowest
	$(BIN)/uv pip install --quiet --python .lowest/bin/python --resolution lowest-direct --group dev --editable ".[serving,steps,kubeflow]"
	.lowest/bin/python -m pytest -W default tests/foreact tests/components tests/pipelines tests/serving -m "not slow and not ray and not chromium and not azurite and not postgres"

compile: setup  ## Write compiled/ from the pipeline definitions
	$(BIN)/foreact compile

lock: setup  ## Resolve the lock files anew
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --group dev --extra serving --extra steps --extra kubeflow pyproject.toml -o locks/dev.txt
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --extra serving pyproject.toml -c locks/dev.txt -o locks/serving.txt
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --extra serving --extra steps pyproject.toml -c locks/dev.txt -o locks/pipeline.txt
	printf 'setuptools>=77\nuv\n' | $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header -c locks/dev.txt - -o locks/build.txt
	echo azure-cli | $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header - -o docker/operations/az.txt

include deploy.mk local.mk

clean:  ## Remove the environment and the default workspace
	rm -rf $(VENV) .foreact
