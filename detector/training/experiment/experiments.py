"""An MLflow experiment: where runs are kept and models registered, a sqlite file unless a server is named.

Owns the choice of the stores. Uses MLflow's client with addresses of its own, so that two experiments in one
process don't disturb each other and no global state of MLflow changes.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import url2pathname

from detector.errors import SettingsError
from detector.models.registry import hide_secrets, import_mlflow, name_failures
from detector.training.train_settings import TrackingSettings

_SQLITE = "sqlite:///"
_DATABASE = "mlflow.db"
_ARTIFACTS = "mlartifacts"


@dataclass(frozen=True)
class Experiment:
    """An open experiment; ``client`` is MLflow's, ``shown`` its address without secrets."""

    client: Any
    experiment_id: str
    name: str
    tracking_uri: str
    registry_uri: str

    @property
    def shown(self) -> str:
        """Give the address that may be shown."""
        return hide_secrets(self.tracking_uri)


def open_experiment(tracking: TrackingSettings, out: Path, default_name: str) -> Experiment:
    """Open the experiment of the settings, and make it where there is none.

    Without ``tracking.uri`` runs lie in ``out``/mlflow.db and their files in ``out``/mlartifacts; with
    another sqlite file, beside that. Raises ``SettingsError`` when the place can't be reached or written.
    """
    tracking_uri = tracking.uri or f"{_SQLITE}{(out.absolute() / _DATABASE)}"
    registry_uri = tracking.registry_uri or choose_registry(tracking_uri)
    name = tracking.experiment or default_name
    artifacts = _place_artifacts(tracking_uri)
    what = f"tracking.uri {hide_secrets(tracking_uri)}, experiment {name}"
    with name_failures(what, tracking_uri, SettingsError):
        client = import_mlflow().MlflowClient(tracking_uri=tracking_uri, registry_uri=registry_uri)
        experiment_id = _find_or_create(client, name, artifacts)
    return Experiment(client, experiment_id, name, tracking_uri, registry_uri)


def choose_registry(tracking_uri: str) -> str:
    """Give the registry that belongs to a tracking address: the same, for Databricks Unity Catalog's.

    >>> choose_registry("databricks://profile"), choose_registry("http://mlflow:5000")
    ('databricks-uc://profile', 'http://mlflow:5000')
    """
    scheme, separator, rest = tracking_uri.partition("://")
    return f"databricks-uc{separator}{rest}" if scheme == "databricks" else tracking_uri


def _place_artifacts(tracking_uri: str) -> str | None:
    if not tracking_uri.startswith(_SQLITE):
        return None  # the server knows
    file = Path(url2pathname(tracking_uri.removeprefix(_SQLITE).partition("?")[0])).absolute()
    file.parent.mkdir(parents=True, exist_ok=True)
    return (file.parent / _ARTIFACTS).as_uri()


def _find_or_create(client: Any, name: str, artifacts: str | None) -> str:  # noqa: ANN401
    found = client.get_experiment_by_name(name)
    if found is None:
        try:
            return str(client.create_experiment(name, artifact_location=artifacts))
        except import_mlflow().exceptions.MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
            found = client.get_experiment_by_name(name)  # another process was faster
    if found.lifecycle_stage != "active":
        raise SettingsError(f"tracking.experiment {name} was deleted in MLflow: restore it, or name another")
    return str(found.experiment_id)
