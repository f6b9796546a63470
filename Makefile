VENV := .venv
BIN := $(VENV)/bin
UV := $(shell command -v uv 2>/dev/null || echo $(BIN)/uv)
COMPILE := $(UV) pip compile --quiet --universal --generate-hashes --no-header --no-annotate --python-version 3.11

PYTEST := $(BIN)/pytest -n 2
# Where this is set, each of the hundreds of processes that tests start would compile all it imports: two seconds.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: setup quick test prove containers lint style demo bench simulate soak docs site lock clean

CONSOLE := rushes/console/static/vendor/package-lock.json

setup: $(VENV)/.ready $(CONSOLE) ## the environment in .venv, from the hashed lock; the console's files, by npm's

$(BIN)/python:
	python3 -m venv $(VENV)

$(BIN)/uv: | $(BIN)/python
	$(BIN)/pip install --quiet --disable-pip-version-check 'uv>=0.13,<0.14'

$(VENV)/.ready: requirements-dev.txt pyproject.toml client/pyproject.toml | $(BIN)/python $(UV)
	VIRTUAL_ENV=$(abspath $(VENV)) $(UV) pip install --quiet --require-hashes -r requirements-dev.txt
	VIRTUAL_ENV=$(abspath $(VENV)) $(UV) pip install --quiet --no-deps -e . -e client
	touch $@

# Without a registry of npm's all else works; the console says what is missing.
$(CONSOLE): rushes/console/npm/package-lock.json rushes/console/assets.py | $(BIN)/python
	-$(BIN)/python rushes/console/assets.py

style: setup ## style, types, import rules, and no index host in the lock
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	@! grep -lE 'https?://' requirements*.txt
	@! grep -l '"resolved"' tests/npm/package-lock.json rushes/console/npm/package-lock.json
	@! git ls-files | grep -E '(^|/)(uv\.lock|pylock.*\.toml)$$'

lint: style ## the same, and known vulnerabilities
	$(BIN)/python .ci/advisories.py

quick: style ## while one works: style, types, import rules, unit tests
	$(PYTEST) tests/unit

test: lint ## before a change is handed in: lint, and tests of every promise on a sample of rows and seeds
	$(PYTEST)

prove: lint ## before a release: lint, and all tests on both databases, every fault, a thousand seeds
	$(PYTEST) --prove

containers: setup ## before a release: docker-compose.yml under an engine (this machine's, or Debian's as root), with stand-ins for the gateways
	PYTHONPATH=. $(BIN)/python tests/containers/run.py

demo: setup ## five videos from five gateways (stand-ins), in a minute, on this machine; KEEP=1 leaves it running, for a browser
	$(BIN)/rushes demo $(if $(KEEP),--keep-running)

bench: setup ## run the benchmarks and write docs/benchmarks.md, on an otherwise idle machine; or one of them: ONLY=receiver
	$(BIN)/python benchmarks/run.py $(ONLY)

soak: setup ## MINUTES=10 of random faults on real processes, and the account: nothing lost, nothing paid twice
	PYTHONPATH=tests/plant $(BIN)/python tests/faults/soak.py --minutes $(or $(MINUTES),10)

simulate: setup ## the service under a seeded fate: SEEDS=20000 of them from FIRST=0 on, or SEED=123 with its story
	$(BIN)/python tests/simulation/simulate.py $(if $(SEED),--seed $(SEED),--seeds $(or $(SEEDS),20000) \
		--first $(or $(FIRST),0) $(if $(PROCESSES),--processes $(PROCESSES)))

docs: setup ## renew the generated parts of the documentation
	$(BIN)/python docs/generate.py

site: setup ## the documentation as a site: open site/index.html
	$(BIN)/sphinx-build -q -W --keep-going -b html docs site

lock: $(BIN)/python $(UV) ## renew the hashed locks from pyproject.toml
	$(COMPILE) --extra cli --extra metrics pyproject.toml -o requirements.txt
	$(BIN)/python -c "import tomllib; print(*tomllib.load(open('pyproject.toml', 'rb'))['build-system']['requires'])" \
		| $(COMPILE) - -o requirements-build.txt
	$(COMPILE) --extra cli --extra local --extra test -c requirements.txt pyproject.toml -o requirements-dev.txt

clean:
	rm -rf $(VENV) .rushes demo site .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
