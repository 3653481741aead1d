# Every target makes .venv itself from a bare Python >= 3.11. PYTHON=... names another one.
PYTHON ?= python3
BIN := .venv/bin
# setuptools warns of every editable installation, and it would be all that a newcomer reads
PIP := PYTHONWARNINGS=ignore $(BIN)/python -m pip install --quiet --disable-pip-version-check

.PHONY: demo test test-all test-addons lint format notebooks docs docs-release dist web clean

demo: .venv/installed
	$(BIN)/keras-cpm demo --out demo

test: .venv/installed-test
	$(BIN)/python -m pytest -n 2 --dist worksteal -m 'not slow'

# those of many seconds too, as continuous integration does
test-all: .venv/installed-test
	$(BIN)/python -m pytest -n 2 --dist worksteal

# beside tensorflow-addons, which has its last Python in 3.11, and an export in TensorFlow 2.15.1
ADDONS_PYTHON ?= python3.11
test-addons: build/addons/installed
	KERAS_CPM_TENSORFLOW_215=$(CURDIR)/build/addons-2.15/bin/python \
	  build/addons/bin/python -m pytest tests/addons

build/addons/installed: setup.py
	$(ADDONS_PYTHON) -m venv --clear build/addons
	build/addons/bin/python -m pip install --quiet --disable-pip-version-check -e '.[addons]' 'pytest>=8'
	$(ADDONS_PYTHON) -m venv --clear build/addons-2.15
	build/addons-2.15/bin/python -m pip install --quiet --disable-pip-version-check \
	  tensorflow==2.15.1 tensorflow-addons==0.23.0
	@touch $@

# what the hook of pre-commit and continuous integration check; `make format` mends what it can
lint: .venv/installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: .venv/installed-test
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

# small runs of all notebooks; `.venv/bin/python notebooks/build.py --store` writes the .ipynb files
notebooks: .venv/installed-test
	$(BIN)/python notebooks/build.py --smoke

# build/docs/index.html: the pages of docs/, the notebooks and the API reference; a link that leads
# nowhere fails (--quiet would keep it from that)
docs: .venv/installed-docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

# the pages of this version, X.Y, beside those of others, as a commit to the local branch gh-pages
docs-release: .venv/installed-docs
	version=$$($(BIN)/python -c 'import keras_cpm; print(keras_cpm.__version__.rpartition(".")[0])') && \
	  NO_MKDOCS_2_WARNING=1 $(BIN)/mike deploy --update-aliases "$$version" latest && \
	  $(BIN)/mike set-default latest

# the wheel and its source, checked, and the wheel installed and asked where nothing else is
dist: .venv/installed-test
	rm -rf dist
	$(BIN)/python -m build --no-isolation
	$(BIN)/python -m twine check --strict dist/*
	$(PYTHON) -m venv --clear --without-pip build/empty
	$(BIN)/python -m pip --python build/empty/bin/python install --quiet --disable-pip-version-check \
	  --no-compile dist/*.whl
	cd build/empty && bin/keras-cpm doctor && bin/python -c 'import keras_cpm; keras_cpm.load("cpm-light")'

# the LiteRT runtime beside the page of examples/web, and what its test drives a browser with
web:
	cd examples/web && npm install --silent && npm run --silent build

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or newer is needed; name one with: make PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv .venv
	$(PIP) --upgrade pip

# LiteRT, too: 58 MB, and a first picture within a second
.venv/installed: setup.py .venv/bin/python
	$(PIP) -e '.[mobile]'
	@touch $@

.venv/installed-test: setup.py .venv/bin/python
	$(PIP) -e '.[test,dev]'
	@touch $@ .venv/installed

.venv/installed-docs: setup.py .venv/bin/python
	$(PIP) -e '.[docs]'
	@touch $@ .venv/installed

clean:
	rm -rf .venv build dist *.egg-info demo
