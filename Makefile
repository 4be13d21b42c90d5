# Needs python3 (3.11 or newer) and make; everything else goes into .venv.
.DEFAULT_GOAL := help
SHELL := /bin/sh

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check -qq
CORE := $(VENV)/core.stamp
DEV := $(VENV)/dev.stamp
BENCH_READY := $(VENV)/bench.stamp
WHEEL := $(VENV)/wheel
# The neural engines pin libraries that exclude each other, so each has an environment of its own.
TORCH_VENV := .venv-torch
TORCH_READY := $(TORCH_VENV)/ready.stamp
TORCH_TESTS := tests/workers/qwen tests/faults/test_torch_worker.py
MLX_VENV := .venv-mlx
MLX_READY := $(MLX_VENV)/ready.stamp
MLX_TESTS := tests/workers/qwen_mlx tests/faults/test_mlx_worker.py
WHISPER_VENV := .venv-whisper
WHISPER_READY := $(WHISPER_VENV)/ready.stamp
WHISPER_TESTS := tests/workers/whisper tests/faults/test_whisper_worker.py
DEMO_WAV ?= demo.wav

.PHONY: help .venv env-torch env-mlx env-whisper demo test test-torch test-mlx test-whisper bench bench-torch \
	bench-torch-steps bench-torch-many bench-mlx bench-whisper lint format types coverage-core wheel fuzz soak \
	crash-points simulate mutants clean

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/\1|\2/p' $(MAKEFILE_LIST) | \
		while IFS='|' read -r name text; do printf '  %-14s %s\n' "$$name" "$$text"; done

.venv: $(DEV)

# What is already installed is not looked up again, so a second run needs no network.
$(CORE): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "voicebus needs Python 3.11 or newer: make PYTHON=python3.12" >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(PIP) install 'setuptools>=77'
	@$(PIP) install --no-build-isolation --editable .
	@mkdir -p $(VENV)/types && ln -sfn ../.. $(VENV)/types/voicebus
	@touch $@

$(DEV): $(CORE)
	@$(PIP) install --no-build-isolation --editable '.[dev]'
	@touch $@

$(BENCH_READY): $(DEV)
	@$(PIP) install --no-build-isolation --editable '.[bench]'
	@touch $@

demo: $(CORE) ## speak a sentence into demo.wav
	@$(BIN)/python -m voicebus.clients.demo $(DEMO_WAV)

# The pytest script, not `python -m pytest`: that would make `bus` and `daemon` importable bare.
test: $(DEV) ## run the tests (ARGS= for more options)
	@$(BIN)/pytest -q tests $(ARGS)

# A torch for the processor: 200 MB, where the registry's own is 3 GB. uv does not read pip's configuration, which may
# name a folder that has one; where there is none, uv looks where torch's makers keep theirs. The version is exact, or a
# newer one of the registry's would win.
$(TORCH_READY): pyproject.toml $(DEV)
	@$(PIP) install 'uv>=0.5'
	@$(BIN)/uv venv -q --allow-existing $(TORCH_VENV)
	@links="$${PIP_FIND_LINKS:-$$($(BIN)/python -m pip config get global.find-links 2>/dev/null || true)}"; \
	links="$${UV_FIND_LINKS:-$$links}"; backend=; \
	if [ -n "$$links" ]; then export UV_FIND_LINKS="$$links"; else backend="--torch-backend cpu"; fi; \
	install="$(BIN)/uv pip install -q --compile-bytecode --python $(TORCH_VENV)/bin/python"; \
	$$install 'setuptools>=77' && \
	$$install $$backend --no-build-isolation --editable '.[pytorch]' torch==2.13.0 pytest pytest-timeout pocketsphinx && \
	$$install --no-deps qwen-tts==0.1.1
	@touch $@

env-torch: $(TORCH_READY)
env-mlx: $(MLX_READY)
env-whisper: $(WHISPER_READY)

test-torch: $(TORCH_READY) ## the PyTorch engine on tiny models, in .venv-torch (1 GB; ARGS=)
	@$(TORCH_VENV)/bin/pytest -q $(TORCH_TESTS) $(ARGS)

bench-torch: $(TORCH_READY) ## measure the PyTorch engine alone and through the bus (ARGS=)
	@$(TORCH_VENV)/bin/python benchmarks/qwen_engine.py torch $(ARGS)

# MLX's wheels want macOS 14 or newer and, on Linux, glibc 2.35; the extra names the back end.
$(MLX_READY): pyproject.toml $(DEV)
	@$(PIP) install 'uv>=0.5'
	@$(BIN)/uv venv -q --allow-existing $(MLX_VENV)
	@install="$(BIN)/uv pip install -q --compile-bytecode --python $(MLX_VENV)/bin/python"; \
	$$install 'setuptools>=77' && $$install --no-build-isolation --editable '.[mlx]' pytest pytest-timeout pocketsphinx
	@touch $@

test-mlx: $(MLX_READY) ## the MLX engine on tiny models, in .venv-mlx (0.5 GB; ARGS=)
	@$(MLX_VENV)/bin/pytest -q $(MLX_TESTS) $(ARGS)

bench-mlx: $(MLX_READY) ## measure the MLX engine alone and through the bus (ARGS=)
	@$(MLX_VENV)/bin/python benchmarks/qwen_engine.py mlx $(ARGS)

$(WHISPER_READY): pyproject.toml $(DEV)
	@$(PIP) install 'uv>=0.5'
	@$(BIN)/uv venv -q --allow-existing $(WHISPER_VENV)
	@install="$(BIN)/uv pip install -q --compile-bytecode --python $(WHISPER_VENV)/bin/python"; \
	$$install 'setuptools>=77' && \
	$$install --no-build-isolation --editable '.[whisper]' pytest pytest-timeout
	@touch $@

test-whisper: $(WHISPER_READY) ## the transcribing engine on a tiny model, in .venv-whisper (0.5 GB; ARGS=)
	@$(WHISPER_VENV)/bin/pytest -q $(WHISPER_TESTS) $(ARGS)

bench-whisper: $(WHISPER_READY) ## measure the transcribing engine alone and through the bus (ARGS=)
	@$(WHISPER_VENV)/bin/python benchmarks/whisper_engine.py $(ARGS)

bench-torch-steps: $(TORCH_READY) ## measure its frames, one and several at a time (ARGS="--size 0.6B")
	@$(TORCH_VENV)/bin/python benchmarks/torch_steps.py $(ARGS)

bench-torch-many: $(TORCH_READY) ## measure jobs at once, and memory over 500 jobs (ARGS=)
	@$(TORCH_VENV)/bin/python benchmarks/torch_many.py $(ARGS)

lint: $(DEV) ## check style and layout
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

format: $(DEV) ## fix style and layout where that is safe
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

types: $(DEV) ## check types
	@$(BIN)/mypy

CORE_TESTS := $(wildcard tests/daemon/core tests/simulation)
coverage-core: $(DEV) ## daemon/core: every line and branch run by its own tests
	@test -n "$(CORE_TESTS)" || { echo "no tests under tests/daemon/core or tests/simulation" >&2; exit 1; }
	@$(BIN)/pytest -q --cov=daemon/core --cov-branch --cov-report=term --cov-fail-under=100 $(CORE_TESTS)

wheel: $(DEV) ## build a wheel, install it elsewhere, check what is in it
	@rm -rf build $(WHEEL)
	@$(BIN)/pyproject-build --wheel --no-isolation --outdir $(WHEEL) . >$(VENV)/wheel.log 2>&1 || \
		{ cat $(VENV)/wheel.log; exit 1; }
	@rm -rf build
	@$(BIN)/python .ci/check_wheel.py $(WHEEL)/*.whl

SEEDS ?= 0-199
simulate: $(DEV) ## run the daemon's core in a simulated world (SEEDS=0-199)
	@$(BIN)/python -m voicebus.tests.simulation.simulate $(SEEDS) $(ARGS)

mutants: $(DEV) ## break its rules one by one and see whether the simulation finds out
	@$(BIN)/python -m voicebus.tests.simulation.mutants

SECONDS ?= 60
fuzz: $(DEV) ## throw garbage at the bus while honest jobs run (SECONDS=60)
	@$(BIN)/python tests/protocol/fuzz.py $(SECONDS)

MINUTES ?= 10
SEED ?=
soak: $(DEV) ## real processes, faults picked at random (MINUTES=10, SEED= for the same again)
	@$(BIN)/python tests/faults/soak.py $(MINUTES) $(SEED)

SEEDS ?= 3
crash-points: $(DEV) ## kill the store at each of its writes (SEEDS=3 power cuts at each)
	@$(BIN)/python tests/daemon/crash_points.py --seeds $(SEEDS)

bench: $(BENCH_READY) ## measure (ARGS= for more options)
	@$(BIN)/python benchmarks/run.py $(ARGS)

clean: ## remove everything that was made here
	rm -rf $(VENV) $(TORCH_VENV) $(MLX_VENV) $(WHISPER_VENV) build dist voicebus.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis $(DEMO_WAV)
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
