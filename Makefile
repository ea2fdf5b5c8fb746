# Every target sets up .venv by itself; nothing but Python 3.11 or newer is assumed.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip --disable-pip-version-check --quiet

.PHONY: help demo test test-slow test-page test-slurm lint lock clean
.DEFAULT_GOAL := help

help:  ## this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

demo: $(VENV)/.installed  ## from real text to the curse of multilinguality, on this machine
	@PATH="$(CURDIR)/$(BIN):$$PATH" babelscale demo

# A process that tests start keeps to one thread. Tests of one file share what it prepared: a file stays together.
JOBS ?= 2

test: $(VENV)/.tests  ## all tests but the long drills (under 15 minutes on 2 cores; JOBS=8 on more)
	@$(BIN)/python -m pytest -n $(JOBS) --dist loadfile -m "not slow and not gpu and not slurm and not page"

test-slow: $(VENV)/.tests  ## the long drills: kills, whole demos
	@$(BIN)/python -m pytest -m "slow"

PAGE_PACKAGES := chromium chromium-driver texlive-latex-base

test-page: $(VENV)/.tests  ## the report in a real browser, its LaTeX compiled (root; Debian packages)
	@{ command -v chromium && command -v chromedriver && command -v pdflatex; } >/dev/null || { \
	  echo "installing $(PAGE_PACKAGES)"; \
	  apt-get update -qq && DEBIAN_FRONTEND=noninteractive \
	  apt-get install -y -qq --no-install-recommends $(PAGE_PACKAGES) >/dev/null; } || { \
	  echo "the tests need a browser and LaTeX; as root on Debian: apt-get install $(PAGE_PACKAGES)" >&2; exit 2; }
	@BABELSCALE_PAGE_TESTS=required $(BIN)/python -m pytest -m page

SLURM_PACKAGES := slurmctld slurmd slurm-client munge slurmdbd mariadb-server

test-slurm: $(VENV)/.tests  ## on a real Slurm that the tests start on this machine (root; Debian packages)
	@command -v slurmctld slurmdbd mariadbd >/dev/null || { \
	  echo "installing $(SLURM_PACKAGES)"; \
	  apt-get update -qq && DEBIAN_FRONTEND=noninteractive \
	  apt-get install -y -qq --no-install-recommends $(SLURM_PACKAGES) >/dev/null; } || { \
	  echo "the tests need a Slurm of their own; as root on Debian: apt-get install $(SLURM_PACKAGES)" >&2; exit 2; }
	@BABELSCALE_SLURM_TESTS=required $(BIN)/python -m pytest -m slurm

lint: $(VENV)/.tests  ## ruff and mypy
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy

lock:  ## write requirements.lock anew from a fresh environment
	@rm -rf .venv-lock && $(PYTHON) -m venv .venv-lock
	@.venv-lock/bin/python -m pip --disable-pip-version-check --quiet install -e '.[test]'
	@.venv-lock/bin/python -m pip check
	@{ echo '# Versions that were seen working together; written by `make lock`, used by every make target.'; \
	   .venv-lock/bin/python -m pip --disable-pip-version-check list --format=freeze --exclude-editable \
	   | grep -vE '^(pip|setuptools|wheel)==' | sed -E 's/\+[a-z0-9.]+$$//'; } > requirements.lock
	@rm -rf .venv-lock

clean:  ## remove the environment (never the data)
	@rm -rf $(VENV) .venv-lock build *.egg-info

# The stamp is the last thing written: an environment whose making was cut short is made again.
$(VENV)/.made:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "babelscale needs Python 3.11 or newer, $(PYTHON) is older: make demo PYTHON=python3.12" >&2; exit 2; }
	@rm -rf $(VENV)
	@$(PYTHON) -m venv $(VENV) || { \
	  rm -rf $(VENV); echo "$(PYTHON) cannot make a virtual environment: install its venv package (Debian: python3-venv)" >&2; exit 2; }
	@touch $@

$(VENV)/.installed: $(VENV)/.made pyproject.toml requirements.lock
	@echo "installing into $(VENV) (a minute or two)"
	@$(PIP) install -c requirements.lock -e .
	@$(PIP) check
	@touch $@

$(VENV)/.tests: $(VENV)/.installed
	@$(PIP) install -c requirements.lock -e '.[test]'
	@$(PIP) check
	@touch $@
