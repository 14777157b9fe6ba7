# Every target sets up .venv first if it is missing or older than the dependencies.
PYTHON ?= python3
BIN := .venv/bin
RECIPE ?= training/recipes/lgn-digits.yaml

# Without bytecode on disk, every process that a test starts compiles torch and transformers anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: train test quality docs cards

train: .venv/installed  ## train the default model on digits that need no download
	$(BIN)/accelerate launch --quiet --config_file training/accelerate/cpu.yaml training/run.py $(RECIPE) --resume

test: .venv/installed  ## all tests; SLOW=0 leaves the slow ones out
	$(BIN)/pytest -n auto --dist worksteal $(if $(filter 0,$(SLOW)),-m "not slow")

docs: .venv/installed  ## build the site of the documentation into build/site
	$(BIN)/mkdocs build --strict

quality: .venv/installed  ## format, lint, type-check
	$(BIN)/ruff format $(if $(CI),--check)
	$(BIN)/ruff check $(if $(CI),,--fix)
	$(BIN)/pyrefly check

cards: .venv/installed  ## build each folder of model_cards/ for the Hub, into build/cards/, and check it
	for folder in model_cards/*/; do \
		name=$$(basename $$folder); \
		$(BIN)/lgn-hf publish $$folder lgn-hf/$$name --dry-run --folder build/cards/$$name || exit 1; \
	done

# pip finds a torch that its own settings name. uv installs the rest, in a fifth of pip's time, and keeps that torch.
# Modules are compiled when they are first imported, which most of them never are.
.venv/installed: pyproject.toml .ci/constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --no-compile --quiet --constraint .ci/constraints.txt torch uv
	$(BIN)/uv pip install --quiet --python $(BIN)/python --constraint .ci/constraints.txt --editable '.[dev]'
	touch $@
