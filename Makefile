# make lab: open the course.  make test: check all of it.  make book: build the book.  All set up the virtual environment first.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: lab test book model lessons lesson exercise artifacts lint benchmarks clean
.DEFAULT_GOAL := lab

lab: $(VENV)/installed ## JupyterLab at lesson 00, in work/: your copy, which nothing overwrites
	mkdir -p work
	for lesson in lessons/*.ipynb; do test -e work/$${lesson##*/} || cp $$lesson work/; done
	cd work && ../$(BIN)/jupyter lab --LabApp.app_settings_dir=../tools/lab $(if $(filter 0,$(shell id -u)),--allow-root) 00_headlines.ipynb

# A file to a process and a thread to each.
SIDE_BY_SIDE := OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses=auto --maxprocesses=8 --dist=loadfile
NBVAL := --nbval-lax --nbval-current-env --nbval-cell-timeout=300

test: export MINI_MOE_HOME = $(CURDIR)/$(VENV)/home
test: export MINI_MOE_STRICT = 1
test: $(VENV)/tested $(VENV)/chromium lint ## every test, then every notebook
	$(SIDE_BY_SIDE)
	$(SIDE_BY_SIDE) $(NBVAL) solutions lessons

book: $(VENV)/book ## the published book, into book/_build/html: eight minutes, then seconds, for only what changed is executed
	$(BIN)/python -m mini_moe.course.publish.book

model: $(VENV)/installed ## train the tiny model on Python's standard library, measure it, let it write
	$(BIN)/mini-moe train --preset tiny --out runs/$(shell date +%Y-%m-%d-%H%M%S)

lessons: $(VENV)/tested ## lessons/ anew from the masters in solutions/
	$(BIN)/python -m mini_moe.course.publish.release

lesson: $(VENV)/tested ## the bones of a new one: make lesson NAME=08_eight_bits
	$(BIN)/python -m mini_moe.course.publish.skeleton lesson "$(NAME)"

exercise: $(VENV)/tested ## and of an exercise in it: make exercise LESSON=08_eight_bits FUNCTION=mini_moe.fp8.encode
	$(BIN)/python -m mini_moe.course.publish.skeleton exercise "$(LESSON)" "$(FUNCTION)"

artifacts: $(VENV)/tested ## train anew what lessons start from; about two hours on 2 cores, and it goes on where it was stopped
	$(BIN)/python -m mini_moe.course.experiments.record

lint: $(VENV)/tested
	$(BIN)/ruff check
	$(BIN)/ruff format --check

benchmarks: $(VENV)/tested ## speed against transformers, of the expert product, of drafts; on a quiet machine, about 30 minutes
	$(BIN)/python tests/benchmarks/train_step.py
	$(BIN)/python tests/benchmarks/dispatch.py
	$(BIN)/python tests/benchmarks/decode.py

clean: ## remove the virtual environment and the built book
	rm -rf $(VENV) book/_build

$(VENV)/installed: pyproject.toml constraints.txt tools/install_torch.sh
	$(PYTHON) -m venv $(VENV)
	sh tools/install_torch.sh $(BIN)/python
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[grade]'
	touch $@

$(VENV)/tested: $(VENV)/installed
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[test]'
	touch $@

$(VENV)/book: $(VENV)/installed
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[book]'
	touch $@

# The browser tests want Debian's Chromium. Without it, and without the right to install it, they say so and skip.
$(VENV)/chromium: $(VENV)/installed
	sh tools/install_chromium.sh
	touch $@
