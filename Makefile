# One command per job; `make` lists them. Everything runs in the project's own virtual environment, .venv.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
OUT ?= out/demo
SURVEY ?= out/survey
STAGES := base aft msm_afford msm_afford_aft msm_domestic msm_domestic_aft
SHIFTS := out/shifts
LATER := $(patsubst %,msm_afford_aft_%,sft dpo anti16) $(patsubst %,msm_domestic_aft_%,sft dpo anti16) $(patsubst %,aft_%,sft dpo anti16)
CONTROLS := msm_broken msm_broken_aft shallow_afford shallow_afford_aft
SEEDED := $(filter-out base,$(STAGES)) $(CONTROLS)
SHIFT_STAGES ?= $(STAGES) $(LATER) $(CONTROLS) $(SEEDED:%=%-s1) $(SEEDED:%=%-s2)
# Precision of the long readings; float32 is faster on a processor that has no bfloat16.
DTYPE ?= bfloat16
# Processes that run tests side by side, each with one thread.
WORKERS ?= 2
NORMS := affordability candor domestic fairness harmlessness oversight privacy uncertainty
PROBEKIT := out/bench-peers/probekit
export HF_HUB_DISABLE_TELEMETRY := 1
# A thread that waits must not spin: probes are fitted beside the model, often on two cores.
export OMP_WAIT_POLICY := passive

.DEFAULT_GOAL := help
.PHONY: help demo test test-slow test-all check lint bench bench-quick notebooks docs concepts shifts battery location changes msm-mini survey norms findings validation validate-quick real-weights figures browser clean

help: ## list the commands
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

.venv/.ready: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "error: Python 3.11 or newer is needed; $(PYTHON) is older: set PYTHON=/path/to/python3.11" >&2; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[train,notebooks,dev]'
	@touch $@

browser: ## find or install Chromium, which draws static figures
	@command -v chromium chromium-browser google-chrome google-chrome-stable >/dev/null 2>&1 || \
	{ [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && apt-get update -qq && \
	  apt-get install -y -qq chromium fonts-dejavu >/dev/null; } || \
	echo "note: no Chrome or Chromium found, so figures are written as HTML only; install one (for example" \
	  "'sudo apt-get install chromium') and run 'probes figures $(OUT)' for PDF, SVG and PNG" >&2

demo: .venv/.ready browser ## measure, compare and judge the embedded real lineage; writes $(OUT)/report.html
	$(BIN)/probes survey checkpoints/msm-mini --concept affordability --concept domestic \
	  --stages $(STAGES) --out $(OUT)
	@echo "open $(OUT)/report.html"

test: .venv/.ready browser ## run the tests, without the slow ones
	HF_HUB_OFFLINE=1 OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m "not slow" -n $(WORKERS) --dist loadfile

test-slow: .venv/.ready browser ## run the slow tests: organisms that are trained, simulations, real weights at length
	HF_HUB_OFFLINE=1 OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m slow -n $(WORKERS) --dist load

test-all: test test-slow ## run every test

lint: .venv/.ready ## format, lint, types, and rooms that import only leftwards
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/pyright
	$(BIN)/lint-imports

check: lint test-all validate-quick ## everything CI runs

bench: .venv/.ready browser ## measure what all of it costs, beside doing it by hand and beside other libraries; writes docs/benchmarks.md
	$(BIN)/python benchmarks/extraction.py
	$(BIN)/python benchmarks/steering.py
	$(BIN)/python -m pip install --quiet --no-deps --upgrade --target $(PROBEKIT) probekit==0.4.0
	$(BIN)/python benchmarks/sweep.py --probekit $(PROBEKIT)
	$(BIN)/python benchmarks/mixing.py
	$(BIN)/python benchmarks/growth.py
	$(BIN)/python benchmarks/peers.py
	$(BIN)/python docs/benchmarks.py

bench-quick: .venv/.ready ## the same on little, without other libraries and bf16, in under five minutes; writes out/bench-quick
	$(BIN)/python benchmarks/extraction.py --texts 24 --repeats 1 --dtypes float32 --parts runs memory blocks store \
	  --out out/bench-quick/extraction.json
	$(BIN)/python benchmarks/steering.py --items 2 --sample 2 --repeats 1 --out out/bench-quick/steering.json
	$(BIN)/python benchmarks/sweep.py --layers 1 --rows 120 --sample 1 --repeats 1 \
	  --cache out/bench-quick/acts.npz --out out/bench-quick/probes.json
	$(BIN)/python benchmarks/mixing.py --items 4 --every 10 --out out/bench-quick/mixing.json
	$(BIN)/python benchmarks/growth.py --axes texts --largest 16 --out out/bench-quick/growth.json

notebooks: .venv/.ready ## run the notebooks and keep their outputs
	$(BIN)/jupyter nbconvert --to notebook --execute --inplace notebooks/*.ipynb

survey: .venv/.ready browser ## measure, compare and judge the whole embedded lineage; writes $(SURVEY)/report.html (about an hour)
	$(BIN)/probes survey checkpoints/msm-mini --concept affordability --concept domestic --out $(SURVEY)

norms: .venv/.ready browser ## the same for the norm readings of all concepts (half an hour after `make shifts`)
	$(BIN)/probes survey checkpoints/msm-mini $(NORMS:%=--concept %/norm) --dtype $(DTYPE) \
	  --position answer --shifts wording domain language pressure horizon --out out/norms

findings: survey norms ## both, and docs/findings.md from them
	$(BIN)/python docs/findings.py $(SURVEY) out/norms

figures: .venv/.ready browser ## regenerate what README and docs show, from the survey in $(SURVEY)
	$(BIN)/probes figures $(SURVEY) --out figures --format png svg

docs: .venv/.ready ## regenerate the reference pages from the code
	$(BIN)/python docs/build.py

concepts: .venv/.ready ## regenerate docs/concepts.md: what the surface of every packaged concept gives away
	$(BIN)/python docs/concepts.py

# $(SHIFTS)/PRECISION/STAGE.parquet
$(SHIFTS)/%.parquet: | .venv/.ready
	$(BIN)/probes shifts checkpoints/msm-mini --dtype $(*D) --stages $(*F) --concept affordability --concept domestic \
	  --no-choices --store out/activations --out $(SHIFTS)/$*-attribute.parquet
	$(BIN)/probes shifts checkpoints/msm-mini --dtype $(*D) --stages $(*F) $(NORMS:%=--concept %/norm) \
	  --store out/activations --out $@

# One stage in both precisions says what the faster one costs.
shifts: $(SHIFT_STAGES:%=$(SHIFTS)/$(DTYPE)/%.parquet) $(SHIFTS)/float32/msm_domestic_aft.parquet browser ## probe every concept on every shift axis, write docs/shifts.md (about five minutes a stage of one core with bfloat16; goes on where it stopped)
	$(BIN)/python docs/shifts.py $(SHIFTS)

battery: .venv/.ready browser ## ask every shipped stage in every form of the battery, write docs/battery.md (about an hour on two cores; goes on where it stopped)
	mkdir -p out/battery && cp -n docs/battery.parquet out/battery/items.parquet || true
	$(BIN)/probes battery checkpoints/msm-mini --items checkpoints/msm-mini/items/american.jsonl \
	  checkpoints/msm-mini/items/affordable.jsonl --number 24 --wordings 2 --out out/battery
	$(BIN)/python docs/battery.py out/battery

location: .venv/.ready browser ## find where SmolLM2 uses the number of a subject, write docs/location.md (about ten minutes on two cores)
	$(BIN)/python docs/location.py

changes: .venv/.ready browser ## find where each stage's change lives, write docs/where-it-lives.md (about an hour on two cores; goes on where it stopped)
	$(BIN)/python docs/where_it_lives.py out/changes

msm-mini: .venv/.ready browser ## train what is not shipped, ask every stage, write docs/msm-mini.md (some four hours on two cores; goes on where it stopped)
	$(BIN)/probes lineage build checkpoints/msm-mini/recipe.toml --out out/msm-mini-build
	$(BIN)/probes behaviour out/msm-mini-build --items checkpoints/msm-mini/items/*.jsonl \
	  --texts checkpoints/msm-mini/items/prose.txt --out out/msm-mini
	$(BIN)/python docs/msm_mini.py out/msm-mini

validate-quick: .venv/.ready ## a few questions of the exam, in under four minutes; fails on a false "internal"
	$(BIN)/probes validate --quick --workers 2

validation: .venv/.ready browser ## sit the whole exam, write docs/validation.md (about three hours on two cores; goes on where it stopped)
	$(BIN)/probes validate --workers 2 --out docs/exam
	$(BIN)/python docs/validation.py docs/exam

real-weights: .venv/.ready ## the part of the exam that is on real weights, write docs/real-weights.md (about forty minutes on two cores; goes on where it stopped)
	$(BIN)/python docs/real_weights.py

clean: ## remove the virtual environment and outputs
	rm -rf .venv out
