"""An MLflow run: what one training did, kept while it goes on.

Owns the run's end: finished, failed, or killed where somebody stopped it; names that MLflow takes; values
that are too long for it. Refuses to log secrets: addresses are shown without user, password and query.
"""

import hashlib
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from detector.errors import TrainingError
from detector.models.registry import hide_secrets, import_mlflow, name_failures
from detector.redaction import make_safe
from detector.training.experiment.environment import describe_environment
from detector.training.experiment.experiments import Experiment
from detector.training.train_settings import TrainSettings

MAX_VALUE_LENGTH = 500  # what servers of every age take
SETTINGS_FILE = "settings.yaml"
_MOST_PARAMS, _MOST_METRICS = 100, 1000  # of one request
_PARENT_TAG = "mlflow.parentRunId"


class RunStoppedError(Exception):
    """Raised inside a run to end it early on purpose: its status is KILLED, its figures stay."""


class TrackedRun:
    """A run that is open; every method raises ``TrainingError`` when MLflow can't keep what it's given."""

    def __init__(self, experiment: Experiment, run_id: str) -> None:
        self.experiment = experiment
        self.run_id = run_id
        self._client = experiment.client
        self._known = set(self._client.get_run(run_id).data.params)

    def log_params(self, params: Mapping[str, object]) -> None:
        """Keep parameters by name, once: of a resumed run those that it has stay as they are."""
        entity = import_mlflow().entities.Param
        new = [
            entity(clean_name(key), shorten_value(str(value)))
            for key, value in params.items()
            if clean_name(key) not in self._known
        ]
        with self._named("parameters"):
            for start in range(0, len(new), _MOST_PARAMS):
                self._client.log_batch(self.run_id, params=new[start : start + _MOST_PARAMS])
        self._known |= {param.key for param in new}

    def log_metrics(self, figures: Mapping[str, float], step: int = 0) -> None:
        """Keep figures of a step, such as an epoch."""
        entity, now = import_mlflow().entities.Metric, time.time_ns() // 1_000_000
        metrics = [entity(clean_name(key), float(value), now, step) for key, value in figures.items()]
        with self._named("figures"):
            for start in range(0, len(metrics), _MOST_METRICS):
                self._client.log_batch(self.run_id, metrics=metrics[start : start + _MOST_METRICS])

    def log_artifact(self, path: Path, folder: str | None = None) -> None:
        """Keep a file, or all of a folder, below ``folder`` of the run's files."""
        keep = self._client.log_artifacts if path.is_dir() else self._client.log_artifact
        with self._named(path.name):
            keep(self.run_id, str(path), folder)

    def log_text(self, text: str, name: str) -> None:
        """Keep a text as a file."""
        with self._named(name):
            self._client.log_text(self.run_id, text, name)

    def log_figures(self, figures: Mapping[str, Any], folder: str = "figures") -> None:
        """Keep Matplotlib figures as PNG files, named by their keys."""
        for name, figure in figures.items():
            with self._named(name):
                self._client.log_figure(self.run_id, figure, f"{folder}/{name}.png")

    def log_settings(self, settings: TrainSettings) -> None:
        """Keep all settings: as parameters, and as a YAML file that trains the same again."""
        described = describe_settings(settings)
        self.log_params(flatten(described))
        self.log_text(yaml.safe_dump(described, sort_keys=False, allow_unicode=True), SETTINGS_FILE)

    def log_environment(self) -> None:
        """Keep what the run runs on, as tags."""
        for name, value in describe_environment().items():
            self.set_tag(f"environment.{name}", value)

    def log_data(self, name: str, digest: str) -> None:
        """Keep which data the run learns from: a name, and the SHA-256 of pictures, boxes and split."""
        mlflow = import_mlflow()
        short = digest[:36]  # what MLflow takes
        dataset = mlflow.entities.Dataset(name, short, "local", name)
        context = mlflow.entities.InputTag("mlflow.data.context", "training")
        with self._named("data"):
            self._client.log_inputs(self.run_id, [mlflow.entities.DatasetInput(dataset, [context])])
        self.set_tag("data.digest", digest)

    def set_tag(self, name: str, value: object) -> None:
        """Keep a word about the run that may change."""
        with self._named(f"tag {name}"):
            self._client.set_tag(self.run_id, name, shorten_value(str(value)))

    def end(self, status: str) -> None:
        """Close the run as FINISHED, FAILED or KILLED."""
        with self._named("end"):
            self._client.set_terminated(self.run_id, status)

    def _named(self, what: str) -> Any:  # noqa: ANN401 (a context manager)
        where = f"MLflow at {self.experiment.shown}, run {self.run_id}: {what} can't be kept"
        return name_failures(where, self.experiment.tracking_uri, TrainingError)


@contextmanager
def start_run(
    experiment: Experiment,
    name: str,
    params: Mapping[str, object] | None = None,
    *,
    parent: str | None = None,
    resume: str | None = None,
) -> Iterator[TrackedRun]:
    """Open a run for as long as the context lasts.

    ``parent`` is the id of the run it belongs to, ``resume`` that of a run to go on with. Afterwards it's
    FINISHED; KILLED where ``RunStoppedError``, Ctrl-C or SystemExit ended it; FAILED for every other error,
    with the error's class and words as tag ``error``.
    """
    run = _open_run(experiment, name, parent, resume)
    try:
        run.log_params(params or {})
        yield run
    except (RunStoppedError, KeyboardInterrupt, SystemExit):
        run.end("KILLED")
        raise
    except BaseException as error:
        run.set_tag("error", make_safe(f"{type(error).__name__}: {error}", experiment.tracking_uri))
        run.end("FAILED")
        raise
    run.end("FINISHED")


def describe_settings(settings: TrainSettings) -> dict[str, Any]:
    """Give the settings as plain values, addresses without secrets."""
    described = settings.model_dump(mode="json", exclude={"config"})
    for key in ("uri", "registry_uri"):
        if uri := described["tracking"][key]:
            described["tracking"][key] = hide_secrets(uri)
    return described


def flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Name nested values by dotted keys.

    >>> flatten({"fit": {"epochs": 3, "seed": 0}, "out": "x"})
    {'fit.epochs': 3, 'fit.seed': 0, 'out': 'x'}
    """
    flat: dict[str, Any] = {}
    for key, value in values.items():
        nested = isinstance(value, Mapping) and bool(value)
        flat |= flatten(value, f"{prefix}{key}.") if nested else {prefix + key: value}
    return flat


def clean_name(name: str) -> str:
    """Replace what MLflow doesn't take in a name.

    >>> clean_name("ap50/red cell (old)")
    'ap50/red cell _old_'
    """
    return re.sub(r"[^\w\-./ ]", "_", name)[:250]


def shorten_value(value: str) -> str:
    """Shorten a value that MLflow would cut, so that different ones stay different."""
    if len(value) <= MAX_VALUE_LENGTH:
        return value
    digest = hashlib.sha256(value.encode()).hexdigest()[:12]
    return f"{value[: MAX_VALUE_LENGTH - 60]}... ({len(value)} characters, sha256 {digest})"


def _open_run(experiment: Experiment, name: str, parent: str | None, resume: str | None) -> TrackedRun:
    what = f"MLflow at {experiment.shown}: run {resume or name} can't be opened"
    with name_failures(what, experiment.tracking_uri, TrainingError):
        if resume is not None:
            experiment.client.update_run(resume, status="RUNNING")
            return TrackedRun(experiment, resume)
        tags = {} if parent is None else {_PARENT_TAG: parent}
        created = experiment.client.create_run(experiment.experiment_id, tags=tags, run_name=name)
        return TrackedRun(experiment, created.info.run_id)
