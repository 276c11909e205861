# make         set up everything: system packages, .venv, native build
# make demo    the main job, in about a minute
# make test    all tests
# make lint    what must be clean: ruff, mypy, import-linter, clang-format
# make bench   the claims of benchmarks/, in some minutes

PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
NATIVE := $(shell find cpp -type f) CMakeLists.txt pyproject.toml
TESTED := $(filter-out cpp/python/%,$(NATIVE))

.PHONY: all demo test test-python test-cpp lint bench clean
all: $(READY)

$(READY): $(NATIVE) tools/system-packages
	PYTHON=$(PYTHON) tools/system-packages
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip "scikit-build-core>=0.10" "nanobind>=2.4"
	$(BIN)/python -m pip install --quiet --no-build-isolation --editable ".[dev]"
	touch $@

demo: $(READY)
	tools/demo $(BIN)/tensorwire

test: lint test-cpp test-python

test-python: $(READY)
	$(BIN)/python -m pytest

# The C++ tests twice: for memory and undefined behaviour, and for races.
test-cpp: build/address/.tested build/thread/.tested

build/address/.tested: SANITIZERS := address,undefined
build/thread/.tested: SANITIZERS := thread
build/%/.tested: $(TESTED) | $(READY)
	cmake -S . -B build/$* -G Ninja -DCMAKE_BUILD_TYPE=Debug -DTENSORWIRE_PYTHON=OFF -DTENSORWIRE_TESTS=ON \
	    -DTENSORWIRE_SANITIZE=$(SANITIZERS) >/dev/null
	cmake --build build/$*
	ctest --test-dir build/$*/cpp --output-on-failure --timeout 300
	touch $@

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/clang-format --dry-run --Werror $(shell find cpp benchmarks -name '*.cc' -o -name '*.h')

bench: $(READY)
	$(BIN)/python -m benchmarks

clean:
	rm -rf build .venv results
