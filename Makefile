# Everything from a bare machine (python3 >= 3.9 with venv, gcc, make): `make demo`, `make test`.
#
# tools/interpreter.py finds a free-threaded CPython 3.14, or gets one.  Of it .venv is made, and into that go
# the development tools and ftcheck itself.  Stamp files in .venv keep what is done from being done again.

PYTHON ?= python3
VENV ?= .venv
PYTEST_ARGS ?=
WORKERS ?= 2
MAKEFLAGS += --no-print-directory --no-builtin-rules
.DELETE_ON_ERROR:

python := $(VENV)/bin/python
pip := $(python) -m pip --disable-pip-version-check --no-input
network := Is the package index reachable?  pip's own settings apply (PIP_INDEX_URL, PIP_CERT, HTTPS_PROXY).

.PHONY: help
help:  ## print this list
	@echo "On a fresh machine: make demo, then make test.  Each target gets what it needs first."
	@echo
	@sed -n 's/^\([a-z]*\):.*  ## /\1\t/p' Makefile | while IFS='	' read -r name text; do \
	    printf '  make %-12s %s\n' "$$name" "$$text"; done
	@echo
	@echo "Variables: FTCHECK_PYTHON=PATH (the interpreter)  PYTEST_ARGS='-k NAME -x'  WORKERS=0  VENV=DIR  PYTHON=python3"

.PHONY: demo test samples real bench lint types
demo: samples  ## show what ftcheck finds, in samples and in released packages
	@$(python) tools/demo.py

test: samples  ## run the tests
	@$(python) -m pytest tests -n $(WORKERS) $(PYTEST_ARGS)

samples: $(VENV)/.installed  ## build the C, Cython and cffi sample extensions
	@$(python) ext_samples/build.py

NAMES ?=
real: $(VENV)/.installed  ## try ftcheck on real packages, write docs/real-world.md (NAMES='a b': only these)
	@$(python) -m bench.real_world.run $(or $(NAMES),--write)

bench: $(VENV)/.installed  ## measure ftcheck beside its peers
	@$(python) bench/run.py

lint: $(VENV)/.tools  ## check the style with ruff
	@$(python) -m ruff check . && $(python) -m ruff format --check --quiet .

types: $(VENV)/.installed  ## check the types with mypy
	@$(python) -m mypy

.PHONY: interpreter
interpreter:  ## print the interpreter that .venv is made from
	@$(PYTHON) tools/interpreter.py

.PHONY: clean distclean
clean:  ## remove what was built here; .venv stays
	@rm -rf build dist src/*.egg-info src/ftcheck/*.so ext_samples/_built .tox
	@rm -rf .pytest_cache .mypy_cache .ruff_cache .hypothesis
	@find src tests tools ext_samples bench -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true
	@rm -f $(VENV)/.installed

distclean: clean  ## remove .venv too
	@if [ -e $(VENV)/.made-by-make ]; then rm -rf $(VENV); fi
	@cache=$${FTCHECK_CACHE:-$${XDG_CACHE_HOME:-$$HOME/.cache}/ftcheck}; \
	if [ -d "$$cache" ]; then echo "An interpreter that was made for ftcheck stays in $$cache."; fi

# -- the environment -------------------------------------------------------------------------------------------

# A .venv that works is kept, unless FTCHECK_PYTHON names another interpreter (make distclean removes it).
$(VENV)/.python: FORCE
	@if [ -z "$$FTCHECK_PYTHON" ] && [ -e $@ ] && $(python) -c 'import sys; sys.exit(sys.abiflags != "t")' 2>/dev/null; then exit 0; fi; \
	$(MAKE) $(VENV)/.made

.PHONY: $(VENV)/.made
$(VENV)/.made:
	@command -v $(PYTHON) >/dev/null || { \
	    echo "error: there is no $(PYTHON); install it: apt install python3 python3-venv" >&2; exit 1; }
	@found=$$($(PYTHON) tools/interpreter.py) || exit 1; \
	is="CPython $$("$$found" -c 'import platform; print(platform.python_version())') free-threading ($$found)"; \
	if [ "$$is" = "$$(cat $(VENV)/.python 2>/dev/null)" ] && $(python) -c '' 2>/dev/null; then exit 0; fi; \
	if [ -e $(VENV) ] && [ ! -e $(VENV)/.made-by-make ]; then \
	    echo "error: $(VENV) was not made by make; move it away, or use VENV=another-folder" >&2; exit 1; fi; \
	echo "==> making $(VENV) with $$is"; \
	rm -rf $(VENV) && mkdir -p $(VENV) && touch $(VENV)/.made-by-make && \
	tools/quietly "Another interpreter can be named: FTCHECK_PYTHON=PATH." "$$found" -m venv $(VENV) && \
	echo "$$is" >$(VENV)/.python

$(VENV)/.tools: $(VENV)/.python pyproject.toml
	@echo "==> installing the development tools"
	@tools/quietly "$(network)" $(pip) install 'pip>=25.1'  # the first with --group
	@tools/quietly "$(network)" $(pip) install --group dev
	@touch $@

# An editable install does not notice a change in C, so the stamp does.  The build uses .venv's own setuptools
# (it is among the development tools): a rebuild needs no network.
$(VENV)/.installed: $(VENV)/.tools pyproject.toml $(wildcard setup.py bin/* src/ftcheck/_core/*.[ch])
	@command -v $${CC:-cc} >/dev/null || command -v gcc >/dev/null || { \
	    echo "error: there is no C compiler; install one: apt install gcc libc6-dev" >&2; exit 1; }
	@echo "==> building and installing ftcheck"
	@tools/quietly "In C, see the first error.  If a system header is missing: apt install libc6-dev." \
	    $(pip) install --no-build-isolation --editable .
	@touch $@

.PHONY: FORCE
FORCE:
