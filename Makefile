# Every task of the project; CI runs nothing else.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STATE := $(CURDIR)/.state
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

# What `make run` makes stays below .state: neither your keys nor your evidence are touched.
DEMO := COLLECTOR_CONFIG_DIR=$(STATE)/config COLLECTOR_STATE=$(STATE)/state

.PHONY: run test test-long lint bench format docs clean

run: $(VENV)/run.stamp
	@$(DEMO) $(BIN)/collector init --quiet
	@$(DEMO) $(BIN)/collector run; code=$$?; \
	case $$code in 0|1|3) exit 0;; *) exit $$code;; esac # gaps and findings are a good run

test: $(VENV)/dev.stamp
	@tests/setup
	$(BIN)/python -m pytest -n 2 --dist loadgroup

# In full what `make test` samples.
test-long: $(VENV)/dev.stamp
	@tests/setup
	COLLECTOR_TEST_KILLS=200 $(BIN)/python -m pytest tests/run/test_killed.py
	COLLECTOR_TEST_AWS_DENIALS=all $(BIN)/python -m pytest tests/aws/test_denials.py
	COLLECTOR_TEST_KUBERNETES_DENIALS=all $(BIN)/python -m pytest tests/kubernetes/test_denials.py

lint: $(VENV)/dev.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(VENV)/dev.stamp
	@tests/setup
	$(BIN)/python -m tests.bench

format: $(VENV)/dev.stamp
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

docs: $(VENV)/dev.stamp
	$(BIN)/python tools/generate_help.py

clean:
	rm -rf $(VENV) $(STATE) build dist

$(BIN)/python:
	$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed, this is " + sys.version.split()[0] if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)

$(VENV)/run.stamp: pyproject.toml $(BIN)/python
	$(PIP) install --editable .
	@touch $@

$(VENV)/dev.stamp: pyproject.toml $(BIN)/python
	$(PIP) install --editable '.[dev]'
	@touch $@ $(VENV)/run.stamp
