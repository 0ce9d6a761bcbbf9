# Every target sets up .venv by itself. `make` alone lists the targets.
SHELL := /bin/bash
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
HOST ?= 127.0.0.1
PORT ?= 3000
NAME ?= duanbiao
INSTALL := $(BIN)/python -m pip install --quiet
TORCH := $(shell sed -n 's/^ *"\(torch==.*\)",$$/\1/p' pyproject.toml)
DATA = $(if $(TOPICS),--topics "$(TOPICS)") $(if $(ANNOTATIONS),--annotations "$(ANNOTATIONS)") $(if $(TEST),--test "$(TEST)")
REVIEWED = $(if $(TOPICS),--topics "$(TOPICS)") $(if $(ANNOTATIONS),--annotations "$(ANNOTATIONS)") $(if $(SEEDS),--seeds "$(SEEDS)")
TRAINED = --name $(NAME) $(DATA) $(if $(BASE),--base "$(BASE)") $(if $(EPOCHS),--num_train_epochs $(EPOCHS))
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export TOKENIZERS_PARALLELISM := false
ifdef DEVICE
export DUANBIAO_DEVICE := $(DEVICE)
endif
# bentoml reads these when it starts. Nothing is reported to anyone.
export BENTOML_HOME := $(CURDIR)/models/store
export BENTOML_DO_NOT_TRACK := True

# One file serves all Pythons that pyproject.toml allows, and all systems.
LOCK := UV_CUSTOM_COMPILE_COMMAND='make lock' $(BIN)/uv pip compile --quiet --universal --python-version 3.11 \
  --generate-hashes --group build --no-emit-package torch $(if $(UPGRADE),--upgrade) pyproject.toml

# Asks the registry's /pypi/NAME/VERSION/json; fails where that does not answer for a package.
AUDIT := $(BIN)/pip-audit --strict --disable-pip --progress-spinner off
NOT_AUDITED := echo "audit: failed, see above; 'not found on PyPI' or a connection error means that the registry's \
  /pypi/NAME/VERSION/json could not be asked and nothing was audited: try again where pypi.org is reached" >&2; exit 1

.DEFAULT_GOAL := help
.PHONY: help setup serve tag summary split add review annotate train retrain models rollback evaluate compare simulate validate check format test attack bench gpu-check scale lock bento audit clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 18

# One stamp for each extra; a changed pyproject.toml or lock installs again. Torch stands in no
# lock: a CPU build and the registry's CUDA build have other hashes and other dependencies.
$(VENV)/.%: requirements/%.txt pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(INSTALL) --require-hashes --no-deps --requirement $<
	$(if $(filter train dev,$*),$(INSTALL) $(TORCH))
	@# setuptools has a warning for every editable installation.
	PYTHONWARNINGS=ignore $(INSTALL) --no-deps --no-build-isolation --editable .
	@touch $@

setup: $(VENV)/.dev ## install everything, also what training and tests need

# A GPU needs torch as well; without DEVICE, one is used where torch is installed and finds it.
serve: $(VENV)/.$(if $(filter cuda,$(DEVICE)),train,serve) ## start the REST service on HOST:PORT (127.0.0.1:3000): [DEVICE=auto, cpu or cuda]
	@mkdir -p $(BENTOML_HOME)
	@$(BIN)/python -m serving --host $(HOST) --port $(PORT)

tag: $(VENV)/.$(if $(filter ray,$(ENGINE)),ray,serve) ## tag in batch: IN="files folders 'patterns*'" or -  OUT=.jsonl, .csv or .parquet  [TEXT= ID= SHARD= MODEL= ENGINE=ray ACTORS=]
	@$(BIN)/python -m serving.batch "$(IN)" "$(OUT)" $(if $(TEXT),--text "$(TEXT)") $(if $(ID),--id "$(ID)") \
	  $(if $(SHARD),--shard "$(SHARD)") $(if $(MODEL),--model "$(MODEL)") \
	  $(if $(ENGINE),--engine "$(ENGINE)") $(if $(ACTORS),--actors "$(ACTORS)")

summary: $(VENV)/.summary ## what was tagged, by source and month, and drift: IN=.jsonl, .csv, .parquet, folder or glob; report/summary.md
	@$(BIN)/python -m serving.summary "$(IN)"

split: $(VENV)/.serve ## show how articles are cut into paragraphs, and what is left out and why: IN=seeds
	@$(BIN)/python -m data.paragraphs "$(or $(IN),seeds)" --explain

add: $(VENV)/.serve ## copy new articles into seeds/, checked, none twice, none overwritten: IN="file or folder …"
	@$(BIN)/python -m data.new_articles $(IN) $(if $(SEEDS),--seeds "$(SEEDS)")

review: $(VENV)/.train ## write paragraphs worth a person's minute: [BUDGET=50 OUT=review.csv, .json or .jsonl MODEL=]
	@$(BIN)/python -m training.review --out "$(or $(OUT),review.csv)" $(if $(BUDGET),--budget $(BUDGET)) \
	  $(if $(MODEL),--model "$(MODEL)") $(REVIEWED)

annotate: $(VENV)/.train ## bring a filled-in review file into the annotation set: IN=review.csv [BY=name ANNOTATIONS=]
	@$(BIN)/python -m training.annotate "$(IN)" $(if $(BY),--by "$(BY)") $(REVIEWED)

train: $(VENV)/.train ## train, calibrate and put in use: [NAME= TOPICS= ANNOTATIONS= TEST= BASE= EPOCHS=]
	$(BIN)/python -m training.train $(TRAINED)

retrain: $(VENV)/.train ## train on new and corrected annotations; put in use if no worse: [NAME= TOPICS= ANNOTATIONS= TEST= BASE= EPOCHS=]
	$(BIN)/python -m training.retrain $(TRAINED)

models: $(VENV)/.serve ## list the stored versions with their figures
	@$(BIN)/python -m models.versions

rollback: $(VENV)/.serve ## put the version before the one in use back in use
	@$(BIN)/python -m models.versions --rollback

evaluate: $(VENV)/.train ## report on the model in use, beside the baselines: [MODEL= TOPICS= ANNOTATIONS= TEST=]
	$(BIN)/python -m training.evaluate $(if $(MODEL),--model "$(MODEL)") $(DATA)

compare: $(VENV)/.train ## compare recipes, three seeds each; may be interrupted and goes on
	$(BIN)/python -m training.compare

simulate: $(VENV)/.train ## what labels chosen by `make review` buy beside random ones; may be interrupted and goes on
	$(BIN)/python -m training.simulate_selection

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
	$(BIN)/pytest -m "not slow" -n 2
	$(BIN)/pytest -m slow -n 2 --dist loadfile

attack: $(VENV)/.dev ## shake a running service for some ten minutes and print what it bore: [DURATION=120 CASES=1000]
	PYTHONPATH=tests $(BIN)/python -m attack $(if $(DURATION),--seconds $(DURATION)) $(if $(CASES),--cases $(CASES))

bench: $(VENV)/.dev ## measure speed and size beside what others and this machine reach; report/bench.md: [DURATION=5]
	PYTHONPATH=tests $(BIN)/python -m bench $(if $(DURATION),--seconds $(DURATION))

gpu-check: $(VENV)/.train ## show that the GPU of this machine tags as its processor does, and how fast: [MODEL=]
	@$(BIN)/python -m serving.gpu_check $(if $(MODEL),--model "$(MODEL)")

scale: $(VENV)/.dev ## measure batch tagging on generated archives; report/scale.md: [SIZES="10000 100000"]
	PYTHONPATH=tests $(BIN)/python -m scale $(if $(SIZES),--sizes $(SIZES))

# The lock of everything first: the others take its versions, so that extras share one .venv.
lock: $(VENV)/.release ## write requirements/*.txt anew after a change of pyproject.toml: [UPGRADE=1]
	$(LOCK) --extra dev --output-file requirements/dev.txt
	for extra in serve summary ray train release; do \
	  $(LOCK) --extra $$extra --constraint requirements/dev.txt --output-file requirements/$$extra.txt || exit; \
	done

bento: $(VENV)/.release ## build the Bento in build/, serve it from a clean environment, compare its answers
	$(BIN)/python -m serving.bento

audit: $(VENV)/.release ## licences of what serving installs; known vulnerabilities of all that is locked
	$(BIN)/pip-licenses --packages $$(sed -n 's/^\([a-z0-9._-]*\)==.*/\1/p' requirements/serve.txt)
	$(AUDIT) --require-hashes --requirement requirements/dev.txt || { $(NOT_AUDITED); }
	echo $(TORCH) | $(AUDIT) --no-deps --requirement /dev/stdin || { $(NOT_AUDITED); }

clean: ## remove caches and unfinished training runs; models stay
	rm -rf models/runs models/compiled report .pytest_cache .mypy_cache .ruff_cache build *.egg-info
	find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +
