# `make` runs the default study, `make test` the tests. Everything lands in this folder; package caches aside.
PYTHON ?= python3
ARGS ?=
VENV := .venv/bin
export UV_PYTHON_DOWNLOADS := never
export PYTHONDONTWRITEBYTECODE :=

.PHONY: study test chaos rehearsal audit check format bench bench-peers gallery docs lock clean help

study: .venv/train.ok ## run the default study; ARGS="verdict --config data=PATH" for another
	@$(VENV)/snakemake $(ARGS)
	@$(VENV)/python workflow/report/make_report.py $(ARGS)

# tests/conftest.py says which tests are together, and which begin first.
SIDE_BY_SIDE = -n 2 --no-loadscope-reorder
test: .venv/dev.ok ## run the tests; ARGS="tests/metrics -x" for some
	$(VENV)/python -m pytest $(SIDE_BY_SIDE) -m "not long" $(ARGS)

chaos: .venv/dev.ok ## all faults of docs/reliability.md, hostile input of docs/safety.md, at length: hours
	LSKD_CHAOS=full LSKD_FUZZ=full $(VENV)/python -m pytest tests/chaos tests/slurm tests/fuzz $(ARGS)
	$(VENV)/python -m pytest tests/workflow -m long $(ARGS)

rehearsal: .venv/train.ok ## each paper-scale recipe through 20 steps, an hour or more; ARGS="shen2021"
	$(VENV)/python workflow/rehearsal.py $(ARGS)

audit: .venv/dev.ok ## known vulnerabilities of the locked packages; asks the internet
	for list in figures train cluster dev; do $(VENV)/uv tool run --from pip-audit==2.10.1 pip-audit \
	  --require-hashes --disable-pip --requirement envs/$$list.txt || exit 1; done

check: .venv/dev.ok ## ruff, snakefmt, snakemake --lint and mypy
	$(VENV)/ruff check .
	$(VENV)/ruff format --check .
	$(VENV)/snakefmt --check Snakefile workflow
	$(VENV)/snakemake --lint
	$(VENV)/mypy

format: .venv/dev.ok ## lay the code out as `check` wants it
	$(VENV)/ruff check --fix .
	$(VENV)/ruff format .
	$(VENV)/snakefmt Snakefile workflow

bench: .venv/dev.ok ## measure what docs/benchmarks.md tells
	$(VENV)/python workflow/bench/bench.py $(ARGS)

bench-peers: .venv/dev.ok .venv/peers.ok ## the same grid by a plain loop, by torchdistill and by this
	$(VENV)/python workflow/bench/peers.py $(ARGS)

# The papers' targets that are rendered, at demo scale, and their pictures and numbers for docs/gallery.md.
PAPERS = muller2019 shen2021 yuan2020 chandrasegaran2022
gallery: .venv/train.ok ## draw the papers' targets for docs/gallery.md
	mkdir -p docs/gallery
	$(VENV)/snakemake $(PAPERS)
	for paper in $(PAPERS); do for file in results/figures/demo/$$paper/*.png results/figures/demo/$$paper/*.md; do \
	  cp $$file docs/gallery/$$paper-$$(basename $$file); done; done

docs: .venv/train.ok ## write docs/config.md, docs/targets.md and the JSON schema
	$(VENV)/python -m lskd.study.schema
	$(VENV)/python -m lskd.study.reference
	$(VENV)/python -m lskd.papers.targets
	$(VENV)/python workflow/papers_page.py

# The interpreter, then uv by its hash, then every package by its hash.
.venv/uv.ok: envs/bootstrap.txt
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(0 if v in ((3, 11), (3, 12)) else "error: PYTHON is %d.%d; 3.11 or 3.12 is needed: make PYTHON=python3.12" % v)'
	$(PYTHON) -m venv .venv
	$(VENV)/python -m pip install --quiet --require-hashes --requirement envs/bootstrap.txt
	@touch $@

.venv/%.ok: envs/%.txt .venv/uv.ok
	$(VENV)/uv pip install --quiet --python $(VENV)/python --require-hashes --requirement $<
	@touch $@

# After an edit of pyproject.toml's dependencies. --no-header and --no-annotate keep the lists free of local paths.
LOCK = $(VENV)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate
lock: .venv/uv.ok ## lock the packages after an edit of pyproject.toml
	echo uv==0.13.8 | $(LOCK) --no-deps - --output-file envs/bootstrap.txt
	$(LOCK) pyproject.toml --output-file envs/figures.txt
	$(LOCK) pyproject.toml --extra train --output-file envs/train.txt
	$(LOCK) pyproject.toml --extra train --extra cluster --output-file envs/cluster.txt
	cp envs/train.txt envs/translation.txt # so that no version moves
	$(LOCK) pyproject.toml --extra train --extra translation --output-file envs/translation.txt
	cp envs/train.txt envs/peers.txt
	$(LOCK) pyproject.toml --extra train --extra peers --output-file envs/peers.txt
	$(LOCK) pyproject.toml --extra train --extra dev --output-file envs/dev.txt

clean: ## remove .venv and all results
	rm -rf .venv .snakemake results report.html

help: ## list the targets
	@echo 'make TARGET [ARGS="..."] [PYTHON=python3.12]'
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/\1\t\2/p' Makefile | while IFS="$$(printf '\t')" read -r name text; do \
	  printf '  %-12s %s\n' "$$name" "$$text"; done
