# Every target sets up .venv by itself. `make` alone lists the targets.
SHELL := /bin/bash
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
HOST ?= 127.0.0.1
PORT ?= 3000
NAME ?= duanbiao
DATA = $(if $(TOPICS),--topics "$(TOPICS)") $(if $(ANNOTATIONS),--annotations "$(ANNOTATIONS)") $(if $(TEST),--test "$(TEST)")
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export TOKENIZERS_PARALLELISM := false
# bentoml reads these when it starts. Nothing is reported to anyone.
export BENTOML_HOME := $(CURDIR)/models/store
export BENTOML_DO_NOT_TRACK := True

.DEFAULT_GOAL := help
.PHONY: help setup serve tag split train evaluate compare validate check format test attack clean

help: ## list the targets
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /  make \1\t/' | expand -t 18

# One stamp for each extra; a changed pyproject.toml installs again.
$(VENV)/.%: pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable '.[$*]'
	@touch $@

setup: $(VENV)/.dev ## install everything, also what training and tests need

serve: $(VENV)/.serve ## start the REST service on HOST:PORT (127.0.0.1:3000)
	@mkdir -p $(BENTOML_HOME)
	$(BIN)/bentoml serve serving.service:TaggerService --host $(HOST) --port $(PORT)

tag: $(VENV)/.serve ## tag in batch: IN=article, folder or .jsonl  OUT=.jsonl, .csv or .parquet  [MODEL=]
	@$(BIN)/python -m serving.batch "$(IN)" "$(OUT)" $(if $(MODEL),--model "$(MODEL)")

split: $(VENV)/.serve ## show how articles are cut into paragraphs, and what is left out and why: IN=seeds
	@$(BIN)/python -m data.paragraphs "$(or $(IN),seeds)" --explain

train: $(VENV)/.train ## train, calibrate and put in use: [NAME= TOPICS= ANNOTATIONS= TEST= BASE= EPOCHS=]
	$(BIN)/python -m training.train --name $(NAME) $(DATA) $(if $(BASE),--base "$(BASE)") $(if $(EPOCHS),--num_train_epochs $(EPOCHS))

evaluate: $(VENV)/.train ## report on the model in use, beside the baselines: [MODEL= TOPICS= ANNOTATIONS= TEST=]
	$(BIN)/python -m training.evaluate $(if $(MODEL),--model "$(MODEL)") $(DATA)

compare: $(VENV)/.train ## compare recipes, three seeds each; may be interrupted and goes on
	$(BIN)/python -m training.compare

validate: $(VENV)/.serve ## check the annotation set; counts and annotators' agreement: [ANNOTATIONS= TOPICS=]
	@$(BIN)/python -m data.annotations $(if $(ANNOTATIONS),--annotations "$(ANNOTATIONS)") $(if $(TOPICS),--topics "$(TOPICS)")

check: $(VENV)/.dev ## formatting, lint and types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: $(VENV)/.dev ## format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

test: $(VENV)/.dev ## all tests, quick ones first
	$(BIN)/pytest -m "not slow"
	$(BIN)/pytest -m slow

attack: $(VENV)/.dev ## shake a running service for some ten minutes and print what it bore: [DURATION=120 CASES=1000]
	PYTHONPATH=tests $(BIN)/python -m attack $(if $(DURATION),--seconds $(DURATION)) $(if $(CASES),--cases $(CASES))

clean: ## remove caches and unfinished training runs; models stay
	rm -rf models/runs report .pytest_cache .mypy_cache .ruff_cache build *.egg-info
	find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +
