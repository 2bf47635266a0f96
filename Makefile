# Everything a newcomer needs: `make demo` and `make test` set up what they use, and say so.
SHELL := /bin/bash
VENV := .venv
PYTHON := $(VENV)/bin/python
SUDO := $(shell [ "$$(id -u)" = 0 ] || echo sudo)
BUNDLE := build/plugin/Latensify.ofx.bundle
PACKAGES := cmake ninja-build g++ make git nlohmann-json3-dev libxxhash-dev debootstrap python3-venv

.PHONY: demo test check lint plugin plugin-gcc bench-bridge docs clean setup system host format

demo: setup plugin host  ## the plugin in a real host over a real clip; pictures in demo/
	$(PYTHON) -m hosts.demo $(if $(CLIP),--clip "$(CLIP)")

test: setup plugin host  ## every test
	$(PYTHON) -m pytest -q

check: lint  ## lint, then the quick tests
	$(PYTHON) -m pytest -q -m "not slow" tests/bridge tests/server

lint: setup  ## format, lint, types, generated files
	$(VENV)/bin/ruff format --check bridge server tests
	$(VENV)/bin/ruff check bridge server tests
	$(VENV)/bin/mypy
	$(PYTHON) -m latensify_bridge.generate --check

plugin: setup $(BUNDLE)/Contents/Linux-x86-64/Latensify.ofx  ## build/plugin/Latensify.ofx.bundle

plugin-gcc: setup  ## the same by the system's compiler, for development
	cmake -S ofx_plugin -B build/gcc -G Ninja -DCMAKE_BUILD_TYPE=RelWithDebInfo -DPython3_EXECUTABLE=$(CURDIR)/$(PYTHON)
	cmake --build build/gcc

bench-bridge: setup  ## build/bench/bridge_bench: the host of `latensify bench bridge`
	cmake -S bridge/cpp -B build/bench -G Ninja -DCMAKE_BUILD_TYPE=Release -DLATENSIFY_BRIDGE_BENCH=ON \
	  -DPython3_EXECUTABLE=$(CURDIR)/$(PYTHON)
	cmake --build build/bench --target bridge_bench

docs: setup  ## what is generated from the declarations
	$(PYTHON) -m latensify_bridge.generate

clean:  ## what was built, but not .venv, nor the host and the clip that were fetched
	rm -rf build/plugin build/release build/gcc demo

format: setup
	$(VENV)/bin/ruff format bridge server tests
	$(VENV)/bin/ruff check --fix bridge server tests

# --- what the targets above stand on ---

system:
	@missing=$$(dpkg-query -W -f '$${Package} $${Status}\n' $(PACKAGES) 2>/dev/null | awk '/ok installed/ {print $$1}' \
	  | grep -vxFf - <(printf '%s\n' $(PACKAGES))); \
	if [ -n "$$missing" ]; then \
	  echo "Installing system packages:" $$missing; \
	  $(SUDO) apt-get update -qq && DEBIAN_FRONTEND=noninteractive $(SUDO) apt-get install -y -qq $$missing; \
	fi

setup: system $(VENV)/.installed

$(VENV)/.installed: pyproject.toml constraints.txt
	@echo "Installing the Python environment into $(VENV)"
	python3 -m venv $(VENV)
	$(VENV)/bin/pip install -q -c constraints.txt -e ".[server,dev]"
	@echo "$(CURDIR)/tests" > $$($(PYTHON) -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/latensify_tests.pth
	@touch $@

$(BUNDLE)/Contents/Linux-x86-64/Latensify.ofx: $(shell find ofx_plugin bridge/cpp -type f)
	cmake -S ofx_plugin -B build/release -G Ninja -DCMAKE_BUILD_TYPE=Release \
	  -DCMAKE_TOOLCHAIN_FILE=$(CURDIR)/ofx_plugin/cmake/zig.cmake -DPython3_EXECUTABLE=$(CURDIR)/$(PYTHON)
	cmake --build build/release

host: setup
	@$(PYTHON) -m hosts.melt ensure
