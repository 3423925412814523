"""The scoring script of Azure ML's batch endpoint: see docs/azure.md and conf/azure/ml/batch-deployment.yaml.

Azure ML calls ``init`` once a process, then ``run`` for each mini-batch of files, and appends the rows that
it gives to the job's output. Settings are those of jobs/score.py, by environment (DETECTOR_MODEL__MIN_SCORE).
"""

import os
from pathlib import Path
from typing import TYPE_CHECKING

from detector.errors import SettingsError
from detector.scoring.mini_batch import MiniBatchScorer, MiniBatchSettings, find_mounted_model
from detector.settings_sources import load_settings

if TYPE_CHECKING:
    import pandas as pd

_scorers: list[MiniBatchScorer] = []  # this process's one, from init on


def init() -> None:
    """Load the model of AZUREML_MODEL_DIR, or the one that DETECTOR_MODEL__URI names, once.

    Raises ``DetectorError`` by name: the deployment is wrong, and no mini-batch could be scored.
    """
    flags = []
    if "DETECTOR_MODEL__URI" not in os.environ:
        mounted = os.environ.get("AZUREML_MODEL_DIR")
        if mounted is None:
            raise SettingsError("neither AZUREML_MODEL_DIR nor DETECTOR_MODEL__URI is set: there is no model")
        flags = ["--model.uri", str(find_mounted_model(Path(mounted)))]
    settings = load_settings(MiniBatchSettings, flags)
    has_gpu = Path("/dev/nvidia0").exists()
    cores = len(os.sched_getaffinity(0))
    run_id = os.environ.get("AZUREML_RUN_ID")
    scorer = MiniBatchScorer.open(settings, gpu="0" if has_gpu else None, cores=cores, run_id=run_id)
    _scorers[:] = [scorer]


def run(mini_batch: list[str]) -> "pd.DataFrame":
    """Score the files of one mini-batch; at least one row each, also for one that can't be scored."""
    return _scorers[0].score(mini_batch)
