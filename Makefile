# Two commands for a fresh machine: `make demo` and `make test`. The rest is one line each.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
DEMO = runs/demo

.PHONY: demo train-demo test test-verl setup setup-train setup-dev lint types format bench picture clean

setup:
	$(PYTHON) viubench/install.py --venv $(VENV)

setup-train:
	$(PYTHON) viubench/install.py --venv $(VENV) --extras train

setup-dev:
	$(PYTHON) viubench/install.py --venv $(VENV) --extras dev,lmms,train

demo: setup
	$(BIN)/viubench clips --out $(DEMO)/clips
	$(BIN)/viubench build --recipe viubench-mini --videos $(DEMO)/clips --out $(DEMO)/items
	test -d $(DEMO)/tiny-qwen3-vl || $(BIN)/viubench tiny --out $(DEMO)/tiny-qwen3-vl
	for engine in random blind oracle; do \
	  $(BIN)/viubench run --engine $$engine --tasks $(DEMO)/items --protocol viubench-128 --fresh --out $(DEMO)/$$engine > /dev/null || exit; done
	$(BIN)/viubench run --model $(DEMO)/tiny-qwen3-vl --tasks $(DEMO)/items --protocol viubench-128 --fresh --out $(DEMO)/tiny
	$(BIN)/viubench report $(DEMO)/random $(DEMO)/blind $(DEMO)/tiny $(DEMO)/oracle --out $(DEMO)/leaderboard.html

# A tiny model trained on two cores; SEED=1 for another seed.
SEED ?= 0
TRAIN_DEMO ?= runs/train-demo

train-demo: setup-train
	$(BIN)/python -m trainer.demo --out $(TRAIN_DEMO) --seed $(SEED)

test: setup-dev
	$(BIN)/python -m pytest -n 2 --dist loadfile

# verl in an environment of its own, and the tests of the hand-over to it.
test-verl:
	.ci/verl

lint: setup-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: setup-dev
	$(BIN)/mypy

format: setup-dev
	$(BIN)/ruff format .

bench: setup-dev
	$(BIN)/python tests/bench/startup.py
	$(BIN)/python tests/bench/parity.py

# The picture of the README, from the page that `make demo` writes.
picture: demo
	chromium --headless --no-sandbox --disable-gpu --hide-scrollbars --window-size=1280,900 \
	  --screenshot=docs/leaderboard.png file://$(CURDIR)/$(DEMO)/leaderboard.html

clean:
	rm -rf runs build dist *.egg-info
