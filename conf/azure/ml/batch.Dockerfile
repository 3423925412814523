# What Azure ML's batch driver runs in: this project, and the two packages by which Azure ML hands out the
# files (they want an older pyarrow than uv.lock, still one that pyproject.toml allows). Built from the
# project's root.
FROM python:3.11-slim-bookworm

RUN apt-get update \
    && apt-get install --yes --no-install-recommends fuse libgomp1 \
    && rm -rf /var/lib/apt/lists/*

COPY pyproject.toml README.md LICENSE /project/
COPY detector /project/detector
RUN pip install --no-cache-dir "/project[gpu,spark]" \
    "azureml-core==1.61.0.post4" "azureml-dataset-runtime[fuse]==1.62.0.post1"

RUN useradd --uid 10001 --create-home scorer
USER 10001
