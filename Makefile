# The commands of development, one word each. `make help` lists them.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
CODE := index.py sms_login sms_admin deploy local openapi clients tests benchmarks
# uv does not read pip's settings, in which users name a mirror near them.
PIP_CONF = $(shell $(BIN)/python -m pip config get global.index-url 2>/dev/null)
INDEX = $(eval INDEX := $(or $(UV_DEFAULT_INDEX),$(PIP_INDEX_URL),$(PIP_CONF)))$(INDEX)
COMPILE = $(if $(INDEX),UV_DEFAULT_INDEX=$(INDEX) )$(BIN)/uv pip compile -q --universal --python-version 3.10 --generate-hashes --custom-compile-command "make pins"

# The folders whose npm packages the tests use.
NPM := deploy/toolkit clients/typescript tests/verifiers $(if $(GENERATORS),tests/generators)

# The tests start many processes; with this variable, each of them would compile all modules anew.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help run admin test cover lint format openapi settings bench attack soak build build-admin check-deploy pins clean

help: ## List these commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: $(VENV)/local ## Run the whole login on this machine: no account (PORT, REDIS_HOST, ARGS=--production-limits)
	@$(BIN)/python -m local $(ARGS)

admin: $(VENV)/admin ## Run a command of the operator's half against a running `make run` (ARGS="check")
	@[ -f $(or $(RUN_ENV_FILE),.env.run) ] || { echo "Start \`make run\` in another terminal first."; exit 1; }
	@SMS_ADMIN_ENV_FILE=$(or $(RUN_ENV_FILE),.env.run) $(BIN)/python -m sms_admin $(ARGS)

test: $(VENV)/ready ## Run every test, also on a real Redis (ARGS="-k races" for some)
	@$(BIN)/python -m deploy.component $(NPM)
	$(BIN)/python -m pytest -n auto $(ARGS)

cover: $(VENV)/ready ## Run every test and list the lines of sms_login that no test reaches; fails under 95 %
	@$(BIN)/python -m deploy.component $(NPM)
	$(BIN)/python -m pytest -n auto \
		--cov=sms_login --cov-report=term-missing:skip-covered --cov-fail-under=95 $(ARGS)

lint: $(VENV)/ready ## Check style, types and imports between rooms, and find unused code
	$(BIN)/ruff check $(CODE)
	$(BIN)/ruff format --check $(CODE)
	$(BIN)/mypy $(CODE)
	$(BIN)/lint-imports --no-cache --no-logo
	$(BIN)/vulture $(CODE)

format: $(VENV)/ready ## Format the code
	$(BIN)/ruff check --fix-only $(CODE)
	$(BIN)/ruff format $(CODE)

openapi: $(VENV)/ready ## Write docs/openapi.json anew from the function's types
	$(BIN)/python -m openapi

settings: $(VENV)/ready ## Write the table of settings into documentation and deployment files
	$(BIN)/python -m deploy.settings

bench: $(VENV)/ready ## Measure calls, cold start, round trips, memory, load; prints ratios (ARGS="calls web" for some)
	$(BIN)/python -m benchmarks $(ARGS)

attack: $(VENV)/ready ## Simulate a day under attack, on the product's own code; prints a table
	$(BIN)/python -m benchmarks.attacks $(ARGS)

soak: $(VENV)/ready ## Send the web function 100,000 requests while Redis dies and messages fail (ARGS=5000 for fewer)
	$(BIN)/python -m benchmarks.soak $(ARGS)

build: $(VENV)/ready ## Make build/ and build.zip, the deployed files (WITH="sql asymmetric")
	@$(BIN)/python -m deploy.build $(WITH)

build-admin: $(VENV)/ready ## Make build-admin/ and build-admin.zip, the files of the admin function
	@$(BIN)/python -m deploy.build --admin

check-deploy: $(VENV)/ready ## Check serverless.yml, its environment and build/, offline (EXAMPLE=1: with made-up values)
	@$(BIN)/python -m deploy.check $(if $(EXAMPLE),--example)

pins: $(VENV)/ready ## Write the requirements files anew from pyproject.toml
	$(COMPILE) --upgrade pyproject.toml -o requirements.txt
	$(COMPILE) --upgrade --extra sql -c requirements.txt pyproject.toml -o requirements/sql.txt
	$(COMPILE) --upgrade --extra asymmetric -c requirements.txt pyproject.toml -o requirements/asymmetric.txt
	$(COMPILE) --upgrade --extra admin --extra asymmetric --extra sql -c requirements.txt pyproject.toml -o requirements/admin.txt
	$(COMPILE) --upgrade --group local -c requirements.txt pyproject.toml -o requirements/local.txt
	$(COMPILE) --upgrade --extra admin --extra asymmetric --extra sql --group local --group dev -c requirements.txt pyproject.toml -o requirements/dev.txt
	$(BIN)/python -m deploy.metadata

clean: ## Remove everything that the commands above made
	rm -rf build build.zip build-admin build-admin.zip .build-* deploy/toolkit/node_modules clients/typescript/node_modules tests/generators/node_modules tests/verifiers/node_modules .venv* .mypy_cache .pytest_cache .ruff_cache .hypothesis .coverage test-screenshots

# Two steps, so that `make run` does not wait for the browser driver and the checkers.
$(VENV)/local: requirements/local.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || { echo "Python 3.10 or newer is needed: make PYTHON=python3.12 ..."; exit 1; }
	@[ ! -L $(VENV) ] || { echo "$(VENV) is a link, and its target would be emptied. Remove it, or name another: make VENV=..."; exit 1; }
	@echo "Making $(VENV), once: this takes up to a minute."
	@$(PYTHON) -m venv --clear $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements/local.txt
	@touch $@

$(VENV)/admin: $(VENV)/local requirements/admin.txt
	@echo "Adding the libraries of the operator's half to $(VENV), once."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements/admin.txt
	@touch $@

$(VENV)/ready: $(VENV)/local requirements/dev.txt
	@echo "Adding the tools of development to $(VENV), once: this takes about half a minute."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements/dev.txt
	@touch $(VENV)/admin $@
