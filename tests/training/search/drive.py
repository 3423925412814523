"""A search's parent process, to be killed: settings as JSON in the first argument, the MLflow run in the second."""

import sys
from functools import partial

from detector.training.experiment.experiments import open_experiment
from detector.training.experiment.runs import TrackedRun
from detector.training.search.search import run_search
from detector.training.train_settings import TrainSettings

settings = TrainSettings.model_validate_json(sys.argv[1])
experiment = open_experiment(settings.tracking, settings.out, settings.model.name)
run_search(
    settings,
    folder=settings.out / "killed",
    run=TrackedRun(experiment, sys.argv[2]),
    tell=partial(print, flush=True),
    work="fake_work:work",
)
