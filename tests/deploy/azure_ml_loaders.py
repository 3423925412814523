# /// script
# requires-python = ">=3.11,<3.14"
# dependencies = ["azure-ai-ml==1.35.2"]
# ///
"""Load Azure ML's files with Azure ML's own loaders: ``uv run --script azure_ml_loaders.py KIND=FILE ...``.

Runs in an environment of its own, locked beside it: the package brings a telemetry exporter and older versions of
what MLflow needs. Prints a JSON object: each file's problem, or null. Connects to nothing.
"""

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ["AZURE_ML_CLI_PRIVATE_FEATURES_ENABLED"] = "false"
os.environ["OTEL_SDK_DISABLED"] = "true"

from azure.ai.ml.entities import _load_functions as loaders  # after its switches; one loader isn't public


def find_problem(load: Callable[..., Any], file: Path) -> str | None:
    """Load a file as Azure ML's command line does, and give what it says against it, in one line."""
    try:
        load(source=str(file))
    except Exception as error:  # noqa: BLE001 (whatever it raises is what it says)
        return " ".join(f"{type(error).__name__}: {error}".split())[:2000]
    return None


if __name__ == "__main__":
    found = {}
    for argument in sys.argv[1:]:
        kind, _, path = argument.partition("=")
        found[path] = find_problem(getattr(loaders, f"load_{kind}"), Path(path))
    sys.stdout.write(json.dumps(found))
