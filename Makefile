# Everything needs Python 3.11 to 3.13 with venv, and make; wheels do the rest.

PYTHON ?= python3
VENV := .venv
INSTALLED := $(VENV)/installed
ARGS ?=
# nkeys is pure Python, and there is no wheel of it.
WHEELS := --only-binary :all: --no-binary nkeys
# Tests wait more than they compute, so there are two workers more than cores. A worker takes whole modules, of which some
# share a node. ARGS='-n0' for none (pdb, -s).
WORKERS := -n $(shell echo $$(($$(nproc) + 2))) --dist loadfile --no-loadscope-reorder
# Each worker loads all tests, which pytest rewrites with their assertions taken apart: what comes of it is kept, where
# the environment says PYTHONDONTWRITEBYTECODE, too.
PYTEST := env -u PYTHONDONTWRITEBYTECODE $(VENV)/bin/python -m pytest

# Tests start some thousand processes of ours, which would compile every module again where the environment says
# PYTHONDONTWRITEBYTECODE (a third of what their start costs).
COMPILE := $(VENV)/bin/python -m compileall -q wire connectd gossipd lightningd_py

.DEFAULT_GOAL := help
.PHONY: help demo run test test-long test-quick test-oldest test-versions test-python check bench bench-quick bench-growth torture scale rooms web-assets wheel docs

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 20

demo: $(INSTALLED) ## two nodes, a map, a peer handed from process to process; under a minute, leaves nothing running
	@$(VENV)/bin/python -P -m lightningd_py.tools.demo $(ARGS)

run: $(INSTALLED) ## one regtest node in the foreground; more options with ARGS='--alias=me'
	@$(VENV)/bin/lightningd-py --network=regtest $(ARGS)

# Of what ARGS names all is run.
SHORT = $(if $(findstring tests/,$(ARGS)),,-m 'not long')
test: $(INSTALLED) ## units, real processes, and the peers that others wrote: all but the longest tests; some 8 minutes
	@$(COMPILE)
	@$(PYTEST) $(WORKERS) $(SHORT) $(ARGS)

test-long: $(INSTALLED) ## the longest tests, more than two seconds of a processor each: rows of restarts, kills, floods
	@$(COMPILE)
	@$(PYTEST) $(WORKERS) -m long $(ARGS)

QUICK := -m 'not processes' tests/wire tests/connectd tests/gossipd tests/lightningd_py tests/bolts
EXAMPLES := --hypothesis-profile=quick
test-quick: $(INSTALLED) ## the unit tests alone, with few examples of each input: none that starts a daemon, no peers of others
	@$(PYTEST) $(WORKERS) $(EXAMPLES) $(QUICK) $(ARGS)

OLDEST := .venv-oldest
test-oldest: $(INSTALLED) ## those of test-quick with the oldest version of each library that pyproject.toml allows
	@$(VENV)/bin/python -m venv $(OLDEST)
	@$(VENV)/bin/python tests/tools/oldest.py > $(OLDEST)/requirements.txt
	@$(OLDEST)/bin/python -m pip install --quiet --disable-pip-version-check $(WHEELS) -r $(OLDEST)/requirements.txt --editable .
	@$(OLDEST)/bin/python -m pytest $(WORKERS) $(QUICK) $(ARGS)

SOME := -m 'not processes' tests/wire tests/bolts
test-versions: $(INSTALLED) ## some of test-quick's tests with the oldest libraries, and with the newest Python that is here
	@$(MAKE) --no-print-directory test-oldest QUICK="$(SOME)"
	@newest="$$($(VENV)/bin/python tests/tools/newest.py)"; \
	if [ -n "$$newest" ]; then $(MAKE) --no-print-directory test-python PYTHON="$$newest" QUICK="$(SOME)" EXAMPLES=; \
	else echo "no Python that is newer than $$($(VENV)/bin/python -V) is here"; fi

test-python: ## those of test-quick with another interpreter: make test-python PYTHON=python3.12
	@$(MAKE) --no-print-directory test-quick VENV=.venv-$(notdir $(PYTHON))

check: $(INSTALLED) ## format, lint and types
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .
	$(VENV)/bin/mypy

bench: $(INSTALLED) ## all benchmarks; figures, no assertions
	@$(VENV)/bin/python tests/bench/run.py $(ARGS)

bench-quick: $(INSTALLED) ## the same in about a minute
	@$(VENV)/bin/python tests/bench/run.py --quick $(ARGS)

bench-growth: $(INSTALLED) ## cost against peers, services, channels, cores: a table, docs/growth/growth.json, a plot a row; long
	@$(VENV)/bin/python -m tests.bench.growth.run $(ARGS)

torture: $(INSTALLED) ## kills, floods, rogues, damage, clocks, random inputs: half an hour, a line of figures each
	@$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check $(WHEELS) --editable '.[dev,fuzz]'
	@$(VENV)/bin/python tests/torture/run.py $(ARGS)

scale: $(INSTALLED) ## up to 20 vantage points over a NATS server, with kills of each: ten minutes (docs/scale.md)
	@$(VENV)/bin/python tests/torture/run.py scale $(ARGS)

rooms: $(INSTALLED) ## rooms of the packages, files a room, lines a file, circles of imports
	@$(VENV)/bin/python tests/tools/rooms.py

web-assets: $(INSTALLED) ## get the two libraries that draw the page's map from npm, for this checkout and its wheel
	@$(VENV)/bin/lightning-observatory web-assets

wheel: web-assets ## a wheel in dist/, with the libraries that draw the page's map
	@$(VENV)/bin/python -m pip wheel --quiet --disable-pip-version-check --no-deps --wheel-dir dist .
	@ls dist/*.whl

docs: $(INSTALLED) ## write the generated pages of docs/ again
	@$(VENV)/bin/python docs/generate.py

# Made again when pyproject.toml has changed; touched last, so that a broken installation is tried again.
$(INSTALLED): pyproject.toml
	@$(PYTHON) -c 'import sys, venv; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14) and "Python 3.11, 3.12 or 3.13 is needed; say which with make PYTHON=...")'
	@echo "installing into $(VENV)"
	@$(PYTHON) -m venv $(VENV)
	@$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check $(WHEELS) --editable '.[dev]'
	@touch $@
