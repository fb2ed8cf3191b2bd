# Every target does its own set-up: Python 3.11 or newer and make are enough.
PYTHON  ?= $(shell command -v python3.11 || command -v python3)
VENV    ?= .venv
BIN      = $(VENV)/bin
BACKEND ?= memory
BELOW   ?= memory
# For BACKEND=kubernetes: beside one `vmsim serve` per edition, on BELOW.
LAB      = $(if $(filter kubernetes,$(BACKEND)),$(BIN)/python -m features.kube.lab --backend $(BELOW))

.PHONY: setup run test test-kube test-slow check features conform conform-wheel scenarios vcsim kube
.PHONY: compiled mutants lint render validate bench lock clean

setup: $(VENV)/.ready
$(VENV)/.ready: pyproject.toml requirements.lock
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -e .
	touch $@

run: setup              ## the main job: the page's own paragraph, in memory
	$(BIN)/vmsim run scenarios/gpu-stranded.yaml

test: setup vcsim kube  ## units, scenarios, features, and all of it on vcsim and on Kubernetes
	$(BIN)/python -m pytest features --backend vcsim
	$(BIN)/python -m pytest -m "not kube and not slow"
	$(BIN)/python -m pytest tests/test_compiled.py
	$(MAKE) test-kube

test-kube: setup vcsim kube  ## what runs on a real Kubernetes API server (builds it once, 10 min)
	$(BIN)/python -m pytest -m kube
	$(MAKE) features BACKEND=kubernetes
	$(MAKE) features BACKEND=kubernetes BELOW=vcsim

test-slow: setup        ## minutes of statistics
	$(BIN)/python -m pytest -m slow

check: setup            ## what needs no service: three minutes
	$(BIN)/python -m pytest -m "not vcsim and not kube and not slow"

features: setup         ## the specification's clauses on BACKEND
	$(LAB) $(if $(LAB),--apart) $(BIN)/python -m pytest features --backend $(BACKEND)

conform: setup          ## a conformance report of BACKEND, and a check of it, in out/conform
	$(LAB) $(BIN)/vmsim conform --target $(BACKEND) -n 2 -o out/conform; code=$$?; \
	$(BIN)/vmsim conform verify out/conform && exit $$code

conform-wheel: setup    ## the core clauses from a wheel in an environment of its own
	rm -rf out/wheel && $(BIN)/python -m pip wheel --quiet --no-deps --wheel-dir out/wheel .
	$(PYTHON) -m venv out/wheel/venv
	out/wheel/venv/bin/python -m pip install --quiet "$$(ls out/wheel/*.whl)[conform]"
	cd out/wheel && venv/bin/vmsim conform --level core
	cd out/wheel && venv/bin/vmsim conform verify conformance-report

scenarios: setup        ## every shipped scenario on BACKEND
	$(BIN)/vmsim run scenarios/*.yaml --backend $(BACKEND)

vcsim: setup            ## find or build the pinned vcsim, once per user
	$(BIN)/python -m backends.vcsim_process ensure

kube: setup             ## find or build the API server, once per user
	$(BIN)/python -m backends.kube_program ensure

compiled: setup         ## compile the model, once per content; says in which folder it is
	@$(BIN)/python -m bench.compiled

mutants: setup          ## which scenario notices which fault; writes docs/mutants.md
	$(BIN)/python -m features.mutants --page docs/mutants.md

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy vmsim backends features bench
	$(BIN)/lint-imports

validate: setup         ## the model against known answers; FULL=1, WRITE=1 for docs/validation.md
	$(BIN)/python -m bench.validate $(if $(FULL),--full) $(if $(WRITE),--write)

bench: setup            ## ratios within one run; writes docs/bench.md
	$(BIN)/python -m bench

render: setup           ## the generated parts of docs/
	$(BIN)/python docs/render.py
	$(BIN)/python -m features.clauses > docs/clauses.md
	$(BIN)/vmsim conform schema > vmsim/conformance/report.schema.json
	$(BIN)/python -m features.vsphere --page > docs/vcsim.md

lock:                   ## write requirements.lock from pyproject.toml anew
	rm -rf .lock && $(PYTHON) -m venv .lock
	.lock/bin/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	.lock/bin/python -m pip freeze --exclude-editable > requirements.lock
	rm -rf .lock

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis
