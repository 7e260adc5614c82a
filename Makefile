# Two commands for a fresh machine: `make demo` and `make test`. The rest is one line each.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
DEMO = runs/demo

.PHONY: demo train-demo test test-verl setup setup-train setup-dev lint types audit docs format bench fuzz figures explained picture clean

setup:
	$(PYTHON) viubench/system/install.py --venv $(VENV)

setup-train:
	$(PYTHON) viubench/system/install.py --venv $(VENV) --extras train

setup-dev:
	$(PYTHON) viubench/system/install.py --venv $(VENV) --extras dev,lmms,train

# The tiny model that comes along answers what it was trained on, next to one with random weights.
TINY = trainer/tiny-viu

demo: setup
	$(BIN)/viubench clips --out $(DEMO)/clips --n 32 --seed 7 --seconds 8 --size 64x64 --fps 4 --dusk --quiet
	$(BIN)/viubench build --recipe tiny --n 128 --videos $(DEMO)/clips --out $(DEMO)/items
	test -d $(DEMO)/models/untrained || $(BIN)/viubench tiny --learner --out $(DEMO)/models/untrained
	for engine in random blind oracle; do \
	  $(BIN)/viubench run --engine $$engine --tasks $(DEMO)/items --fresh --out $(DEMO)/$$engine > /dev/null || exit; done
	for model in $(DEMO)/models/untrained $(TINY); do \
	  $(BIN)/viubench run --model $$model --tasks $(DEMO)/items --fresh --out $(DEMO)/$$(basename $$model) || exit; done
	$(BIN)/viubench report $(DEMO)/random $(DEMO)/blind $(DEMO)/untrained $(DEMO)/tiny-viu $(DEMO)/oracle --out $(DEMO)/leaderboard.html

# A tiny model trained on two cores; SEED=1 for another seed.
SEED ?= 0
TRAIN_DEMO ?= runs/train-demo

train-demo: setup-train
	$(BIN)/python -m trainer.demo --out $(TRAIN_DEMO) --seed $(SEED)

test: setup-dev
	$(BIN)/python -m pytest -n 2 --dist loadgroup --no-loadscope-reorder

# verl in an environment of its own, and the tests of the hand-over to it.
test-verl:
	.ci/verl

lint: setup-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

types: setup-dev
	$(BIN)/mypy

# Known vulnerabilities of what is installed; skipped, in words, where no service answers.
audit: setup-dev
	$(PYTHON) .ci/audit $(BIN)/pip-audit

# The documentation as a site, in site/; a link that leads nowhere is an error.
docs: setup-dev
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet

format: setup-dev
	$(BIN)/ruff format .

bench: setup-dev
	$(BIN)/python -m tests.bench startup
	$(BIN)/python -m tests.bench parity

# So many seconds for each place where bytes of others come in; what was new is kept: make fuzz FUZZ_SECONDS=3600
FUZZ_SECONDS ?= 60

fuzz: setup-dev
	for one in answers yaml_files records replies imports videos; do \
	  $(BIN)/python -m tests.fuzz $$one --seconds $(FUZZ_SECONDS) --corpus runs/fuzz/$$one || exit; done

# The pictures and tables of docs/explained.md, from a drawn clip.
explained: setup-dev
	$(BIN)/python docs/site/pictures.py

# Every figure of docs/performance.md, from a folder of clips; about an hour on two cores: make figures CLIPS=my_clips
FIGURES = docs/performance

figures: setup-dev
	for one in peers pipeline decode build; do \
	  $(BIN)/python -m tests.bench $$one --videos $(CLIPS) --json $(FIGURES)/$$one.json || exit; done
	$(BIN)/python -m tests.bench order --model $(TINY) --tasks viubench-mini --videos $(CLIPS) --n 24 --max-pixels 16384 --json $(FIGURES)/order.json
	$(BIN)/python -m tests.bench records --json $(FIGURES)/records.json
	$(BIN)/python -m tests.bench page --json $(FIGURES)/page.json
	$(BIN)/python -m tests.bench startup --json $(FIGURES)/startup.json
	$(BIN)/python -m tests.bench document $(FIGURES) --out docs/performance.md

# The picture of the README, from the page that `make demo` writes.
picture: demo
	chromium --headless --no-sandbox --disable-gpu --hide-scrollbars --window-size=1280,900 \
	  --screenshot=docs/leaderboard.png file://$(CURDIR)/$(DEMO)/leaderboard.html

clean:
	rm -rf runs build dist *.egg-info
