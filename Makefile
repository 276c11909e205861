# make         set up everything: system packages, .venv, native build
# make demo          the main job, in about a minute
# make demo-capture  a real job of TensorFlow's, captured
# make demo-replay   what it sent, sent again over gRPC and TCP
# make test          all tests
# make test-fuzz     of these, the fuzzing of the tap, for FUZZ_SECONDS (20)
# make lint          what must be clean: ruff, mypy, import-linter, clang-format
# make bench         the claims of benchmarks/, in some minutes

PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
JOBS := .venv/.ready-jobs
NATIVE := $(shell find cpp -type f) CMakeLists.txt pyproject.toml
TESTED := $(filter-out cpp/python/%,$(NATIVE))

.PHONY: all demo demo-capture demo-replay test test-python test-cpp test-fuzz lint bench clean
all: $(READY)

$(READY): $(NATIVE) tools/system-packages
	PYTHON=$(PYTHON) tools/system-packages
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip "scikit-build-core>=0.10" "nanobind>=2.4"
	$(BIN)/python -m pip install --quiet --no-build-isolation --editable ".[dev]"
	touch $@

# What real training jobs need. PyTorch of this version is the one for CPUs; a newer one may bring gigabytes for GPUs.
$(JOBS): | $(READY)
	$(BIN)/python -m pip install --quiet "tensorflow-cpu>=2.16" "torch==2.13.0"
	touch $@

demo: $(READY)
	tools/demo $(BIN)/tensorwire

demo-capture: $(READY) $(JOBS)
	tools/demo-capture $(BIN)/tensorwire

demo-replay: $(READY)
	tools/demo-replay $(BIN)/tensorwire

test: lint test-cpp test-fuzz test-python

test-python: $(READY) $(JOBS)
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

# What a job may send must not harm the tap: coverage-guided, for FUZZ_SECONDS, from the seeds on. What breaks it stays
# in build/fuzz.
FUZZ_SECONDS ?= 20
FUZZED := cpp/tests/fuzz_tap.cc $(addprefix cpp/tap/,parser.cc http2.cc tcp.cc gloo.cc tls.cc pieces.cc connections.cc log.cc told.cc)

test-fuzz: build/fuzz/fuzz_tap
	mkdir -p build/fuzz/found
	build/fuzz/fuzz_tap -max_total_time=$(FUZZ_SECONDS) -max_len=4096 -timeout=10 -artifact_prefix=build/fuzz/ \
	    -print_final_stats=1 build/fuzz/found cpp/tests/fuzz_tap >build/fuzz/log 2>&1 || { tail -n 60 build/fuzz/log; exit 1; }
	grep number_of_executed_units build/fuzz/log

build/fuzz/fuzz_tap: $(TESTED)
	tools/system-packages clang libclang-rt-dev
	mkdir -p build/fuzz
	clang++ -std=c++20 -g -O1 -Wall -Wextra -Werror -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all -Icpp \
	    -o $@ $(FUZZED)

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
