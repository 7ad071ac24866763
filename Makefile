# Development of MMPose-DA. Needs python3 >= 3.10, make and a package index.

PYTHON ?= python3
VENV ?= .venv
PYTEST_ARGS ?=

UV_VERSION := 0.13.8
MMCV_VERSION := 2.1.0
# Where PyTorch keeps its builds without CUDA.
TORCH_CPU_INDEX ?= https://download.pytorch.org/whl/cpu
# Where OpenMMLab keeps compiled MMCV, by CUDA (cpu, cu121, ...) and PyTorch.
MMCV_WHEELS ?= https://download.openmmlab.com/mmcv/dist

PY := $(VENV)/bin/python
UV := $(VENV)/bin/uv
UV_STAMP := $(VENV)/.uv-$(UV_VERSION)
INSTALL := $(UV) pip install --python $(PY) --no-deps
UNINSTALL := $(UV) pip uninstall --quiet --python $(PY)

# A stamp, newer than all it was made from, says which MMCV is installed.
STAMP := $(VENV)/.mmcv-
SOURCES := Makefile setup.py pyproject.toml requirements/lock.txt \
	requirements/build.txt
INSTALLED := $(firstword $(patsubst $(STAMP)%,%,$(wildcard $(STAMP)*)))
# An environment without CUDA stays one.
CPU_STAMP := $(VENV)/.torch-cpu
TORCH ?= $(if $(wildcard $(CPU_STAMP)),cpu)
# What ruff formats; configs keep the style of MMPose's.
FORMATTED := mmpose_da tests tools docs/site.py setup.py

ifneq ($(filter-out lite full,$(MMCV)),)
$(error MMCV must be 'lite' or 'full', got '$(MMCV)')
endif
ifneq ($(filter-out cpu,$(TORCH)),)
$(error TORCH must be 'cpu' or empty, got '$(TORCH)')
endif

.PHONY: help setup test demo lint docs lock clean
.DELETE_ON_ERROR:

help:  ## show this help
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "make %-7s %s\n", $$1, $$2}' Makefile
	@echo
	@echo "MMCV=lite         setup with mmcv-lite, nothing compiled (default)"
	@echo "MMCV=full         setup with compiled MMCV; may build for 10 minutes"
	@echo "TORCH=cpu         setup without CUDA, on x86 Linux: 5 GB less"
	@echo "PYTHON=python3    the Python >= 3.10 to make the environment from"
	@echo "PYTEST_ARGS=...   arguments of pytest: make test PYTEST_ARGS='-k mmd'"

setup: $(STAMP)$(or $(MMCV),lite)  ## make the environment in .venv
	@echo "MMPose-DA is installed in $(VENV) (MMCV=$(or $(MMCV),lite))"

# Whichever MMCV is installed stays; setup runs only when it is missing or stale.
test: $(STAMP)$(or $(MMCV),$(INSTALLED),lite)  ## run the tests
	$(PY) -m pytest $(PYTEST_ARGS)

demo: $(STAMP)$(or $(MMCV),$(INSTALLED),lite)  ## adapt a small model, in 10 minutes
	$(PY) tools/demo.py

lint: $(STAMP)$(or $(MMCV),$(INSTALLED),lite)  ## check style and format with ruff, types with mypy
	$(PY) -m ruff check .
	$(PY) -m ruff format --check $(FORMATTED)
	$(PY) -m mypy

# In an environment of its own: nothing of it is imported, or imports it.
docs: $(UV_STAMP)  ## build the documentation site in build/site
	NO_MKDOCS_2_WARNING=1 $(UV) run --quiet --no-project --isolated --python $(PY) \
		--with-requirements requirements/docs.txt mkdocs build --quiet
	@echo "open build/site/index.html"

lock: $(UV_STAMP)  ## compile requirements/{lock,docs}.txt from the .in files
	$(UV) pip compile --universal --python-version 3.10 --upgrade \
		--no-emit-index-url --custom-compile-command "make lock" \
		--quiet --output-file requirements/docs.txt requirements/docs.in
	$(UV) pip compile --universal --python-version 3.10 --upgrade \
		--override requirements/overrides.txt --no-emit-index-url \
		--no-emit-find-links --custom-compile-command "make lock" \
		--quiet --output-file requirements/lock.txt requirements/stack.in

clean:  ## remove the environment, builds and caches
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .ruff_cache .mypy_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(UV_STAMP):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || { \
		echo "Python >= 3.10 is needed, '$(PYTHON)' is" \
			"$$($(PYTHON) --version 2>&1); try: make setup PYTHON=python3.11" >&2; \
		exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(PY) -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	rm -f $(VENV)/.uv-*
	touch $@

# Versions that end in +cpu satisfy the lock file as well. What is left of it is CUDA's.
ifeq ($(TORCH),cpu)
CUDA := nvidia-[^=]+|triton
install_lock = grep -vE '^($(CUDA))==' requirements/lock.txt | $(INSTALL) -r -
$(STAMP)lite $(STAMP)full: $(CPU_STAMP)
$(CPU_STAMP): requirements/lock.txt | $(UV_STAMP)
	$(INSTALL) --index-url $(TORCH_CPU_INDEX) \
		$$(sed -nE 's/^(torch|torchvision)==[^ ;]+/&+cpu/p' requirements/lock.txt)
	$(UNINSTALL) $$(sed -nE 's/^($(CUDA))==.*/\1/p' requirements/lock.txt)
	touch $@
else
install_lock = $(INSTALL) -r requirements/lock.txt
endif

# mmcv and mmcv-lite hold the same files: the other one goes first. The stamps go
# before that, so that a failure on the way leaves no claim about what is there.
# --no-deps: the lock file is complete, and what it leaves out is left out.
$(STAMP)lite: $(SOURCES) | $(UV_STAMP)
	rm -f $(STAMP)*
	$(install_lock)
	$(UNINSTALL) mmcv mmcv-lite
	$(INSTALL) mmcv-lite==$(MMCV_VERSION)
	$(INSTALL) --no-build-isolation -e .
	touch $@

$(STAMP)full: $(SOURCES) | $(UV_STAMP)
	rm -f $(STAMP)*
	$(install_lock)
	$(INSTALL) -r requirements/build.txt
	$(UNINSTALL) mmcv-lite
	@$(mmcv_works) || $(MAKE) --no-print-directory mmcv-wheel
	@$(mmcv_works) || $(MAKE) --no-print-directory mmcv-build
	@$(mmcv_works) || { echo "MMCV was installed, but it does not work:" >&2; \
		$(PY) -c 'import torch, mmcv._ext'; exit 1; }
	$(INSTALL) --no-build-isolation -e .
	touch $@

# Compiled, of this version, and for the PyTorch that is installed.
mmcv_works = $(PY) -c 'import torch, mmcv, mmcv._ext; \
	assert mmcv.__version__ == "$(MMCV_VERSION)"' 2>/dev/null

# Both without a cache, which may hold an MMCV compiled for another PyTorch.
.PHONY: mmcv-wheel mmcv-build
mmcv-wheel:
	@echo "looking for a compiled MMCV $(MMCV_VERSION) of OpenMMLab ..."
	@build=$$($(PY) -c 'import torch; v = torch.version; \
		cuda = "cu" + v.cuda.replace(".", "") if v.cuda else "cpu"; \
		print(cuda + "/torch" + ".".join(v.__version__.split(".")[:2]) + ".0")') \
	&& UV_HTTP_TIMEOUT=15 UV_HTTP_RETRIES=0 $(INSTALL) --quiet --no-cache \
		--no-index --find-links $(MMCV_WHEELS)/$$build/index.html \
		--reinstall-package mmcv --only-binary mmcv mmcv==$(MMCV_VERSION) \
		2>/dev/null && $(mmcv_works) \
	|| echo "none for this PyTorch, or OpenMMLab cannot be reached"

mmcv-build:
	@echo "building MMCV $(MMCV_VERSION) from source: takes about 10 minutes, and" \
		"needs a C++ compiler (for CUDA operators also nvcc and a GPU in sight," \
		"or FORCE_CUDA=1)"
	MMCV_WITH_OPS=1 PATH="$(CURDIR)/$(VENV)/bin:$$PATH" $(INSTALL) --no-cache \
		--no-build-isolation --reinstall-package mmcv --no-binary mmcv \
		mmcv==$(MMCV_VERSION)
