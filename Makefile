# Two commands do everything, with nothing installed but Python and make: `make demo` and `make test`.

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup demo test lint format bench soak serve deploy-check audit mutation train-demo demo-model dist dist-check image-check doctor mlflow-ui clean distclean

PYTHON ?= python3
MAVEN_REPOSITORY ?= https://repo1.maven.org/maven2

BIN := .venv/bin
UV := .tools/uv
READY := .venv/.ready
DEMO := build/demo

# The recipes see this environment's Python, Spark and Java, whatever others the shell is set up for.
export PATH := $(CURDIR)/$(BIN):$(PATH)
export PYSPARK_PYTHON := $(CURDIR)/$(BIN)/python
export PYSPARK_DRIVER_PYTHON := $(PYSPARK_PYTHON)
export SPARK_LOCAL_IP := 127.0.0.1
export UV_PROJECT_ENVIRONMENT := .venv
# uv brings certificates of its own and would refuse a company's proxy; the system's, where it has any, don't.
ifneq ($(wildcard /etc/ssl/certs/ca-certificates.crt /etc/pki/tls/certs/ca-bundle.crt /etc/ssl/cert.pem),)
export UV_SYSTEM_CERTS := true
endif
unexport JAVA_HOME VIRTUAL_ENV SPARK_HOME PYSPARK_SUBMIT_ARGS PYTHONHOME

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' Makefile

setup: $(READY) ## install everything: Python packages, Java, Delta's jars

demo: setup ## draw pictures, score them with the small model, and write a page of what was found
	$(BIN)/python jobs/demo_pictures.py --out $(DEMO)/pictures
	$(BIN)/spark-submit --properties-file conf/spark/local.conf jobs/score.py --config conf/demo.yaml
	$(BIN)/python jobs/report.py --tables.root $(DEMO)/tables --out $(DEMO)/report.html
	@echo "Open $(DEMO)/report.html"

test: lint ## check everything that CI checks
	$(BIN)/pytest -n 2 --dist loadfile

lint: setup ## check style, types and layers
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

format: setup ## put the code into the one style
	$(BIN)/ruff check --fix-only
	$(BIN)/ruff format

bench: setup ## measure scoring against a plain TensorFlow loop and the naive Spark way
	$(BIN)/python tests/bench/scoring.py
	$(BIN)/python tests/bench/video.py
	$(BIN)/python tests/bench/video_memory.py
	$(BIN)/python tests/bench/video_scoring.py
	$(BIN)/python tests/bench/poison.py
	$(BIN)/python tests/bench/annotations.py
	$(BIN)/python tests/bench/serving.py

soak: setup ## kill scoring runs and let two race, many times; send the server 10,000 hostile requests
	$(BIN)/python tests/soak/kill_rounds.py --rounds 30
	$(BIN)/python tests/soak/race_rounds.py --rounds 20
	$(BIN)/python tests/soak/hostile_requests.py --requests 10000

serve: setup ## serve the demo's model on http://127.0.0.1:8080, with a page to drop a picture on
	$(BIN)/python jobs/serve.py --config conf/serve.yaml

audit: setup ## ask PyPI for known faults of every locked package; needs its JSON pages, which mirrors may lack
	@mkdir -p build
	$(UV) export --locked --quiet --no-emit-project --no-dev --extra spark --extra signing --extra serve --extra train --extra garden --output-file build/locked.txt
	$(UV) tool run pip-audit --requirement build/locked.txt --require-hashes --disable-pip --strict

deploy-check: setup ## check every file under conf/: settings, cloud, cluster and container files
	$(BIN)/pytest tests/deploy

MUTATED := guard store plan
COSMIC_RAY := $(UV) tool run --quiet --from cosmic-ray==8.7.0

mutation: setup ## change guard, tables and plan in small ways, and count the changes that their tests find: hours
	rm -rf build/mutation
	mkdir -p build/mutation/copy
	git archive HEAD | tar -x -C build/mutation/copy
	for part in $(MUTATED); do \
	  ( cd build/mutation/copy && export PYTHONPATH="$$PWD" && uv="$(CURDIR)/$(COSMIC_RAY)" && set -e && \
	    $$uv cosmic-ray init conf/mutation/$$part.toml ../$$part.sqlite && \
	    $$uv cr-filter-operators ../$$part.sqlite conf/mutation/$$part.toml && \
	    $$uv cosmic-ray baseline conf/mutation/$$part.toml && \
	    $$uv cosmic-ray exec conf/mutation/$$part.toml ../$$part.sqlite && \
	    echo "$$part: per cent of the changes that no test found:" && $$uv cr-rate ../$$part.sqlite ) || exit 1; \
	done

train-demo: setup ## train a small model on drawn pictures, and show how good it is
	$(BIN)/python jobs/demo_pictures.py --annotated --count 300 --out build/train-demo/pictures
	$(BIN)/python jobs/train.py --config conf/train/demo.yaml

demo-model: setup ## make the small model of conf/demo again: some 10 minutes
	$(BIN)/python jobs/demo_pictures.py --annotated --count 3000 --out build/demo-model/pictures
	$(BIN)/python jobs/train.py --config conf/train/demo.yaml --data.root build/demo-model/pictures \
		--export.folder build/demo-model/package --out build/demo-model/runs
	rm -rf conf/demo/saved_model
	cp -r build/demo-model/package/saved_model build/demo-model/package/label_map.pbtxt conf/demo/

dist: setup ## build the wheel and the archive that a Spark cluster needs, into build/dist
	UV=$(UV) PYTHONPATH=. $(BIN)/python conf/setup/build_dist.py --out build/dist $(DIST_FLAGS)

dist-check: dist ## score on a standalone cluster of two hosts whose executors start from that archive
	DIST_FOLDER=build/dist $(BIN)/pytest tests/deploy/test_dist.py

image-check: setup ## run the Dockerfile's steps without a container engine, over this machine's files; as root
	$(BIN)/python tests/deploy/image_steps.py --arg EXTRAS= \
		--then 'conf/docker/entrypoint.sh python jobs/score.py --help >/dev/null' \
		--then 'python -c "import detector.scoring.worker, pyspark, tensorflow"'

doctor: setup ## tell what there is to compute with: Java, Spark, TensorFlow, GPUs
	$(BIN)/python -m detector.training.doctor

mlflow-ui: setup ## open runs and registered models of build/training on this machine
	@mkdir -p build/training
	MLFLOW_DISABLE_TELEMETRY=true DO_NOT_TRACK=true $(BIN)/mlflow server --host 127.0.0.1 --port 5000 --workers 1 \
	  --backend-store-uri sqlite:///build/training/mlflow.db --default-artifact-root build/training/mlartifacts

clean: ## remove what the targets made
	rm -rf build spark-warehouse metastore_db derby.log .mypy_cache .ruff_cache .pytest_cache .hypothesis

distclean: clean ## remove what set-up installed, too
	rm -rf .venv .tools .java

$(READY): pyproject.toml uv.lock conf/spark/delta-jars.lock | $(UV)
	$(UV) sync --locked --extra spark --extra train --extra garden --extra signing --extra serve
	JAVA_HOME='$(JAVA_HOME)' $(BIN)/python -m detector.installation --repository $(MAVEN_REPOSITORY)
	@touch $@

$(UV): conf/setup/bootstrap_uv.py
	@command -v $(PYTHON) >/dev/null || { echo "$(PYTHON) is missing: install Python 3.11 or newer" >&2; exit 1; }
	$(PYTHON) conf/setup/bootstrap_uv.py $@
