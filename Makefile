# Every target does its own set-up: a virtual environment in .venv, the dependencies, the Rust core built into it.
# Needed beforehand: python3 (3.11 or newer) with venv, cargo and a C linker; a missing one is named in one line.

PYTHON ?= python3
BIN := .venv/bin
CARGO := cargo --quiet
CRATE := --manifest-path core/Cargo.toml
CORE := core/Cargo.toml core/Cargo.lock $(shell find core/src -name '*.rs' 2>/dev/null)
SOURCES := nfsrpc tests benchmarks docs notebooks
DEMO := captures/server-without-statd/nfssrv-any.pcap

MODULE := nfsrpc/_core.abi3.so
BUILD_LOG := .venv/build.log

comma := ,
# need TEST, MESSAGE: where the test fails, this one line is all that is said.
need = @$(1) >/dev/null 2>&1 || { echo "make: $(2)" >&2; exit 1; }
need_cargo = $(call need,command -v cargo,cargo is missing; install the stable Rust toolchain with rustup (https://rustup.rs))

.PHONY: build demo test test-core test-python check format bench docs fuzz mutants clean

build: $(MODULE)

$(BIN)/maturin:
	$(call need,command -v $(PYTHON),$(PYTHON) is missing; install it with: apt install python3 python3-venv)
	$(call need,$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3$(comma) 11))',$(PYTHON) is older than 3.11; name a newer one: make PYTHON=python3.12)
	$(call need,$(PYTHON) -c 'import ensurepip',$(PYTHON) cannot make virtual environments; install: apt install python3-venv)
	@echo "Making .venv"
	@$(PYTHON) -m venv --clear .venv
	@$(BIN)/pip install --quiet --disable-pip-version-check --upgrade 'pip>=25.1' 'maturin>=1.9,<2'
	@touch $@

$(MODULE): $(BIN)/maturin pyproject.toml $(CORE)
	$(need_cargo)
	$(call need,command -v cc,cc is missing$(comma) with which Rust links; install it with: apt install gcc libc6-dev)
	@echo "Building the core"
	@VIRTUAL_ENV=$(CURDIR)/.venv $(BIN)/maturin develop --release --extras parquet,plots,sql --group dev >$(BUILD_LOG) 2>&1 || { cat $(BUILD_LOG); exit 1; }
# Bytecode beforehand: where Python is told not to write any, every start would compile the package anew.
	@$(BIN)/python -m compileall -q nfsrpc
	@touch $@

# analyze exits with 1 on a fault, and the demo is to find one.
demo: build
	@$(BIN)/nfsrpc analyze $(DEMO); test $$? -eq 1

test: test-core test-python

test-core:
	$(need_cargo)
	@$(CARGO) test $(CRATE)

test-python: build
	@$(BIN)/pytest

check: build
	@$(BIN)/ruff check --quiet $(SOURCES)
	@$(BIN)/ruff format --quiet --check $(SOURCES)
	@$(BIN)/mypy --no-error-summary
	@$(CARGO) fmt $(CRATE) --check
	@$(CARGO) clippy $(CRATE) --all-targets -- -D warnings
	@PYO3_PYTHON=$(CURDIR)/$(BIN)/python $(CARGO) clippy $(CRATE) --features python -- -D warnings
	@echo "check: no complaints"

format: build
	@$(BIN)/ruff check --quiet --fix $(SOURCES)
	@$(BIN)/ruff format --quiet $(SOURCES)
	@$(CARGO) fmt $(CRATE)

bench: build
	@$(BIN)/python -m benchmarks.run

docs: build
	@$(BIN)/python docs/reference.py
	@$(BIN)/python docs/verdicts.py
	@$(BIN)/python docs/outputs.py
	@$(BIN)/python docs/pictures.py
	@$(BIN)/python docs/screen.py
	@$(BIN)/python notebooks/run.py

# Each target so long. A finding is left in core/fuzz/artifacts and ends the run.
FUZZ_SECONDS ?= 60
FUZZ := core/fuzz
CARGO_FUZZ := $(FUZZ)/target/tools/bin/cargo-fuzz

$(CARGO_FUZZ):
	$(need_cargo)
	$(call need,command -v c++,c++ is missing$(comma) which libFuzzer is built with; install it with: apt install g++)
	@echo "Building cargo-fuzz"
	@$(CARGO) install --locked --root $(FUZZ)/target/tools cargo-fuzz

# Captures with one field changed, and what is claimed of them: NFSRPC_MUTANTS says how many.
mutants: build
	@$(BIN)/python -m tests.mutants

fuzz: build $(CARGO_FUZZ)
	@$(BIN)/python $(FUZZ)/layouts.py >$(FUZZ)/layouts.txt
	@for target in $$($(CARGO_FUZZ) list --fuzz-dir $(FUZZ)); do \
		echo "Fuzzing $$target for $(FUZZ_SECONDS) s"; \
		mkdir -p $(FUZZ)/corpus/$$target; \
		$(CARGO_FUZZ) run --fuzz-dir $(FUZZ) --sanitizer none $$target $(FUZZ)/corpus/$$target $(FUZZ)/seeds/$$target -- \
			-max_total_time=$(FUZZ_SECONDS) -max_len=8192 -timeout=5 -rss_limit_mb=512 -verbosity=0 || exit 1; \
	done

clean:
	rm -rf .venv bench-captures dist core/target core/fuzz/target .mypy_cache .ruff_cache .pytest_cache .hypothesis
	rm -f $(MODULE)
