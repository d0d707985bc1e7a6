# Two commands on a fresh machine: `make demo` and `make test`. Each makes .venv first.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: setup demo test fuzz audit test-s3 test-interop test-ray test-faults test-fast lint format golden schema lock bench-peers bench-clean bench-dedup bench-extract bench-structure bench-extract-parts bench-metadata bench-scale bench-cluster bench-shares bench-conformance bench-shared bench-data bench-index bench-train bench-train-gpu axe bench-serve test-hf worth clean

setup: .venv/ready models/lid.176.ftz

.venv/ready: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' || \
	  { echo "Python 3.11 to 3.13 is needed; $(PYTHON) is `$(PYTHON) --version`. Run PYTHON=python3.12 make ..."; exit 1; }
	@$(PYTHON) -m venv .venv || { echo "Python's venv is missing. On Debian or Ubuntu: sudo apt-get install -y python3-venv"; \
	  rm -rf .venv; exit 1; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[train,test]' -c requirements.lock
	@touch $@

models/lid.176.ftz: | .venv/ready
	$(BIN)/gristmill models

# What the tests of pages judge accessibility with; without it, or without chromium, they are skipped.
axe: .axe/node_modules/axe-core/axe.min.js
.axe/node_modules/axe-core/axe.min.js:
	npm install --silent --no-save --ignore-scripts --prefix .axe axe-core@4.14.1

demo: setup
	$(BIN)/gristmill demo

# What cleaning is worth on the crawl of GRISTMILL_REAL_DATA: clean it, train on it and on what was extracted, compare.
# ARGS="--tokens 20000 --seeds 2" is a short form. The page is runs/worth/ablation/ablation.html.
worth: setup
	$(BIN)/gristmill run gristmill --set 'source.web.paths="$(GRISTMILL_REAL_DATA)/crawl"' --out runs/worth/run
	$(BIN)/gristmill ablate runs/worth/run --out runs/worth/ablation $(or $(ARGS),--budget 30)

test: setup
	$(BIN)/python -m pytest -n 2 --dist worksteal

# Runs whose folder is on an S3 server (moto) that fails, with kills, every verb, and the crawl of GRISTMILL_REAL_DATA.
test-s3: setup
	GRISTMILL_TEST_S3=1 $(BIN)/python -m pytest -n 2 --dist worksteal tests/shards/test_object_store.py \
	  tests/shards/test_mirror.py tests/shards/test_scratch.py tests/shards/test_store_lock.py \
	  tests/pipelines/test_run_in_store.py

# Exported tokens and our shards, read by Megatron-Core, MosaicML streaming, datasets, polars and DuckDB.
test-interop: setup .venv-peers-data/ready
	$(BIN)/python -m pytest -rs tests/pretrain/interop

# Exported models in transformers and lm_eval, and models of transformers to begin with.
test-hf: setup .venv-hf/ready
	$(BIN)/python -m pytest -rs tests/pretrain/test_export_model.py tests/pretrain/test_initial_weights.py \
	  tests/pretrain/test_evaluate_model.py

# Ray, on clusters of several nodes: faults, signals, nodes that have nothing but Python and Ray, a stand-in for Slurm,
# and all commands of docs/cluster.md.
test-ray: setup
	GRISTMILL_TEST_RAY=1 $(BIN)/python -m pytest tests/pipelines/executors tests/pipelines/test_run_on_slurm.py \
	  tests/test_cluster_page.py

# 100 kills of drivers, workers and nodes, and every other fault of docs/reliability.md, whose counts it prints.
test-faults: setup
	GRISTMILL_TEST_KILLS=100 $(BIN)/python -m pytest -rN tests/faults tests/pipelines/executors/test_ray_faults.py

# 100,000 mutated inputs for each reader; hours on one core. ARGS="-n 2000 html" is a part of it, and "--coverage html" goes
# by the branches that inputs reach, with atheris.
fuzz: setup
	PYTHONPATH=.:tests:tests/shards $(BIN)/python -m fuzz.run $(ARGS)

# Known vulnerabilities of the packages in requirements.lock, by PyPI's own list.
audit: setup
	$(PYTHON) -m venv .venv-audit && .venv-audit/bin/python -m pip install --quiet pip-audit
	.venv-audit/bin/pip-audit -r requirements.lock --no-deps --disable-pip

test-fast: setup
	$(BIN)/python -m pytest -n 2 --dist worksteal -m 'not slow'

lint: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: setup
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

golden: setup
	$(BIN)/python -m pytest tests/test_golden.py --golden

# The tools that gristmill is compared with, in an environment of their own.
bench-peers: .venv-peers/ready

.venv-peers/ready: benchmarks/peers/requirements.txt
	$(PYTHON) -m venv .venv-peers
	.venv-peers/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --ignore-requires-python -r $<
	@touch $@

bench-clean: setup bench-peers
	$(BIN)/python -m benchmarks.clean

bench-extract: setup bench-peers
	$(BIN)/python -m benchmarks.extract

bench-metadata: setup
	$(BIN)/python -m benchmarks.metadata

# Milliseconds a page by part of our own extractor.
bench-extract-parts: setup
	$(BIN)/python -m benchmarks.extract_parts

# Structure of Markdown beside its truth. Fetches some 130 MB of Debian's documentation packages once.
bench-structure: setup bench-peers
	$(BIN)/python -m benchmarks.structure $(ARGS)

bench-dedup: setup bench-peers
	$(BIN)/python -m benchmarks.dedup

# Costs of many files, units and manifests; about an hour. ARGS="--scale .05 --only files units" for a part of it.
bench-scale: setup
	$(BIN)/python -m benchmarks.scale $(ARGS)

# Ray on two local nodes beside a pool of two processes, on ten copies of the crawl; a quarter of an hour.
bench-cluster: setup
	$(BIN)/python -m benchmarks.cluster $$GRISTMILL_REAL_DATA/crawl

# Pages of `gristmill serve` on a ledger of 5 million rows, grown from that of a run of the crawl; some five minutes, 2 GB of
# disk. ARGS="--run RUN" takes a run that is there.
bench-serve: setup
	$(BIN)/python -m benchmarks.serve $(ARGS)

bench-shares: setup
	$(BIN)/python -m benchmarks.shares

# The demo on a quiet machine, and beside busy programs.
bench-shared: setup
	$(BIN)/python -m benchmarks.shared

# Loaders of packed rows beside MosaicML streaming and datasets. ARGS="--documents 4000 --repeats 1" is a short form.
bench-data: setup .venv-peers-data/ready
	$(BIN)/python -m benchmarks.data $(ARGS)

# Records by an index beside their WARC files whole, from a server on this machine. ARGS="--files 4 --repeats 1" is short.
bench-index: setup
	$(BIN)/python -m benchmarks.index $(ARGS)

# Training steps on one core beside Llama of transformers, and the loss beside all logits at once.
bench-train: setup .venv-peers-data/ready
	$(BIN)/python -m benchmarks.train_cpu $(ARGS)

# On a machine with a GPU, in six minutes; there `python3 -m benchmarks.train_gpu` needs torch, numpy, numba, pyarrow alone.
# ARGS=--dry runs each part on a CPU at a tiny size.
bench-train-gpu: setup
	$(BIN)/python -m benchmarks.train_gpu $(ARGS)

.venv-peers-data/ready: benchmarks/peers/data-requirements.txt benchmarks/peers/data-no-deps.txt
	$(PYTHON) -m venv .venv-peers-data
	.venv-peers-data/bin/python -m pip install --quiet --disable-pip-version-check -r benchmarks/peers/data-requirements.txt
	.venv-peers-data/bin/python -m pip install --quiet --disable-pip-version-check --no-deps -r benchmarks/peers/data-no-deps.txt
	@touch $@

.venv-hf/ready: benchmarks/peers/hf-requirements.txt
	$(PYTHON) -m venv .venv-hf
	.venv-hf/bin/python -m pip install --quiet --disable-pip-version-check -r $<
	@touch $@

bench-conformance: setup bench-peers
	$(BIN)/python -m benchmarks.conformance

# Exact versions of everything but torch, whose build depends on the machine (CPU or CUDA).
lock:
	rm -rf .venv && $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet -e '.[train,test]'
	$(BIN)/python -m pip freeze --exclude-editable | grep -Ev '^(torch|triton|nvidia|cuda|setuptools)' > requirements.lock

clean:
	rm -rf .venv runs demo models
