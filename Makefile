# Pressmark: every door a developer uses. `make help` lists them.
#
# `install` is idempotent: the stamp inside the environment is newer than the locks, or it runs again.
# Nothing is resolved here: pip installs what requirements/*.txt names, by hash and from wheels alone.
# `lock` alone needs uv, and is run by hand when pyproject.toml or requirements/*.in change.

VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.pressmark-installed
INTEROP := log extract fuzz capture replay
# Environments of which some packages come as source alone: hash-locked too, and built with what
# requirements/interop-sources.txt locks.
SOURCES := capture replay
INTEROP_STAMPS := $(INTEROP:%=.venv-interop-%/.pressmark-installed)
# The tests' parallel workers: the quick selection is shaped for two cores.
JOBS ?= 2

# Articles of `make bench-trace`; those of `make bench` are few.
ARTICLES ?= 100000
# Seed by which `make bench-accuracy` draws the half of the outlets that rules are made on.
SPLIT ?= 4
# Pages of `make bench-corpus`, and what scores the articles made of them.
CORPUS ?= ../shared/corpus

# Minutes of `make fuzz` for each of its TARGETS (default: all).
MINUTES ?= 10
TARGETS ?=

# The newest interpreter on the path that the locks cover, unless PYTHON names one.
PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3; do \
	"$$p" -c 'import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' \
	>/dev/null 2>&1 && { echo "$$p"; break; }; done)

# The newest one for the oracles of the log, whatever $(VENV) has: aics-tlog asks for 3.12, and they only answer questions
# through a pipe.
ORACLES ?= $(shell for p in python3.13 python3.12 $(BIN)/python; do \
	"$$p" -c 'import venv, ensurepip' >/dev/null 2>&1 && { echo "$$p"; break; }; done)

PIP_INSTALL = -m pip install --quiet --quiet --disable-pip-version-check --no-input
LOCKED = --require-hashes --only-binary :all:
QUICK := not slow and not services and not interop
FLOORS := schemas storage ingest ops

# Tests and demo start many processes: each compiling every module anew would cost most of their time.
export PYTHONDONTWRITEBYTECODE :=

.DEFAULT_GOAL := help
.PHONY: help install demo test test-long test-services test-interop lint bench bench-accuracy bench-trace bench-trace-long bench-corpus fuzz lock clean

help:
	@echo 'make install         .venv with everything locked, and the command .venv/bin/pressmark'
	@echo 'make demo            a small newspaper on loopback, crawled, proved and traced'
	@echo 'make test            the quick selection: Python, git and make are all it needs'
	@echo 'make test-long       everything but services and interop, with full counts'
	@echo 'make test-services   against a Ceph gateway of the system (radosgw ceph-mon ceph-osd ceph-common)'
	@echo 'make test-interop    against rivals and oracles, each in an environment of its own'
	@echo 'make lint            ruff, mypy --strict, import contracts'
	@echo 'make bench           speed side by side with what else one would use'
	@echo 'make bench-accuracy  extraction against ground truth, whole and by halves drawn by SPLIT=4 (data folder)'
	@echo 'make bench-trace     fragments traced in an archive of ARTICLES=100000 synthetic articles'
	@echo 'make bench-trace-long the same of a million, on SQLite and on PostgreSQL'
	@echo 'make bench-corpus    real pages crawled as if they were the web, killed, rebuilt, counted (data folder)'
	@echo 'make fuzz            coverage-guided fuzzing of the parsers, MINUTES=10 each, TARGETS=... of them'
	@echo 'make lock            resolve the locks anew (needs uv)'

install: $(STAMP)

$(STAMP): pyproject.toml requirements/dev.txt requirements/build.txt
	@test -n "$(PYTHON)" || { echo 'no Python 3.11 to 3.13 with venv found: install one or set PYTHON=' >&2; exit 1; }
	test -x $(BIN)/python && $(BIN)/python -c 'import pip' 2>/dev/null || $(PYTHON) -m venv $(VENV)
	$(BIN)/python $(PIP_INSTALL) $(LOCKED) -r requirements/build.txt
	$(BIN)/python $(PIP_INSTALL) $(LOCKED) -r requirements/dev.txt
	$(BIN)/python $(PIP_INSTALL) --no-deps --no-build-isolation --no-index --editable .
	@touch $(STAMP)

demo: install
	$(BIN)/python -m ops.demo

test: install
	$(BIN)/python -m pytest -q -n $(JOBS) -m "$(QUICK)"

test-long: install
	PRESSMARK_LONG=1 $(BIN)/python -m pytest -q -n $(JOBS) -m "not services and not interop"

test-services: install
	$(BIN)/python -m pytest -q -m services

# pytest answers 5 where nothing is selected; the message then says so, and that is no failure here.
test-interop: install $(INTEROP_STAMPS)
	PRESSMARK_INTEROP="$(CURDIR)" $(BIN)/python -m pytest -q -m interop || test $$? -eq 5

.venv-interop-log/.pressmark-installed: requirements/interop-log.txt | $(STAMP)
	.venv-interop-log/bin/python -c 'import sys; sys.exit(sys.version_info < (3, 12))' 2>/dev/null || \
		$(ORACLES) -m venv --clear .venv-interop-log
	.venv-interop-log/bin/python $(PIP_INSTALL) $(LOCKED) -r $<
	@touch $@

# Of the interpreter of $(VENV), whose libraries the fuzzer borrows.
.venv-interop-%/.pressmark-installed: requirements/interop-%.txt | $(STAMP)
	test -x .venv-interop-$*/bin/python || $(BIN)/python -m venv .venv-interop-$*
	$(if $(filter $*,$(SOURCES)),.venv-interop-$*/bin/python $(PIP_INSTALL) $(LOCKED) -r requirements/interop-sources.txt)
	.venv-interop-$*/bin/python $(PIP_INSTALL) $(if $(filter $*,$(SOURCES)),--require-hashes --no-build-isolation,$(LOCKED)) -r $<
	@touch $@

lint: install
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

bench: install
	$(BIN)/python -m ops.bench

bench-accuracy: install
	$(BIN)/python -m ops.bench accuracy --split $(SPLIT)

bench-trace: install
	$(BIN)/python -m ops.bench tracing --articles $(ARTICLES)

# The same of a million articles, on SQLite and on PostgreSQL: hours, and some 20 GB of disk.
bench-trace-long: install
	$(BIN)/python -m ops.bench tracing --articles 1000000 --unseen 2000 --rivals ''
	$(BIN)/python -m tests.support.with_postgres \
	  $(BIN)/python -m ops.bench tracing --articles 1000000 --unseen 2000 --rivals '' --catalog '{url}'

bench-corpus: install
	$(BIN)/python -m ops.bench.corpus_run --manifest $(CORPUS)/newsrooms/truth.jsonl --score $(CORPUS)/score.py

fuzz: install .venv-interop-fuzz/.pressmark-installed
	$(BIN)/python -m ops.bench.fuzz $(TARGETS) --minutes $(MINUTES)

# --universal: one file for every interpreter and system; no index is recorded, so the file names no address.
COMPILE_ANY = uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-emit-find-links --no-header --no-annotate
COMPILE = $(COMPILE_ANY) --only-binary :all:
lock:
	$(COMPILE) pyproject.toml --output-file requirements/runtime.txt
	$(COMPILE) pyproject.toml --group dev --constraints requirements/runtime.txt --output-file requirements/dev.txt
	$(COMPILE) --group build --output-file requirements/build.txt
	set -e; for i in sources $(filter-out $(SOURCES),$(INTEROP)); do \
		$(COMPILE) requirements/interop-$$i.in --output-file requirements/interop-$$i.txt; done
	set -e; for i in $(SOURCES); do \
		$(COMPILE_ANY) requirements/interop-$$i.in --output-file requirements/interop-$$i.txt; done

clean:
	rm -rf $(VENV) .venv-interop-* build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find $(FLOORS) tests -name __pycache__ -type d -prune -exec rm -rf {} +
