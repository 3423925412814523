"""A package in MLflow's registry: registered as a version that can be downloaded whole, found, and promoted.

Owns what a version carries: the package's files, a signature, the code that runs it, tags. Decides nothing:
who moves the alias ``champion`` is ``promotion``.
"""

import platform
import shutil
import tempfile
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import detector
from detector.errors import ModelError
from detector.models.package import compute_digest, compute_size
from detector.models.registry import CHAMPION, PACKAGE_ARTIFACT, hide_secrets, import_mlflow, name_failures
from detector.models.signature import locate_model
from detector.training.experiment.experiments import Experiment
from detector.training.experiment.runs import TrackedRun, clean_name, shorten_value

_CODE_FILE = Path(__file__).with_name("registered_detector.py")
_FOLDER = "model"  # of the run's files
_REQUIREMENTS = (
    "mlflow", "numpy", "opencv-python-headless", "pandas", "pillow", "protobuf", "pyarrow", "pydantic",
    "pydantic-settings", "pyyaml", "simplejpeg", "tensorboard", "tensorflow",
)  # fmt: skip


@dataclass(frozen=True)
class ModelVersion:
    """A version in the registry; ``uri`` is what ``model.uri`` of jobs/score.py takes."""

    name: str
    version: str

    @property
    def uri(self) -> str:
        """Give the address of this very version."""
        return f"models:/{self.name}/{self.version}"


def register_package(
    run: TrackedRun, package: Path, name: str, *, metrics: Mapping[str, float], data_digest: str
) -> ModelVersion:
    """Register a package's folder as a new version of ``name``, made by ``run``; no alias moves.

    Its tags hold the model's digest (``model_digest`` of the tables), the data's and the metrics. Raises
    ``ModelError`` where the folder holds no model, or the registry refuses or doesn't answer.
    """
    located = locate_model(package)
    digest = compute_digest(located)
    tags = {"model.digest": digest, "data.digest": data_digest}
    tags |= {clean_name(f"metric.{key}"): f"{value:.6g}" for key, value in metrics.items()}
    experiment = run.experiment
    client = experiment.client
    with tempfile.TemporaryDirectory(prefix="detector-register-") as folder:
        with _named(experiment, f"{name}: can't be packed for the registry"):
            saved = _save(package, Path(folder), {"model_digest": digest, "bytes": compute_size(located)})
        run.log_artifact(saved, _FOLDER)
    with _named(experiment, f"{name}: can't be registered"):
        _create_name(client, name)
        source = f"{client.get_run(run.run_id).info.artifact_uri}/{_FOLDER}"
        tags = {key: shorten_value(value) for key, value in tags.items()}
        created = client.create_model_version(name, source, run_id=run.run_id, tags=tags)
    return ModelVersion(name, str(created.version))


def find_champion(experiment: Experiment, name: str) -> ModelVersion | None:
    """Give the version that has the alias ``champion``; None where nothing has.

    Raises ``ModelError`` when the registry doesn't answer.
    """
    with _named(experiment, f"{name}: the champion can't be asked for"):
        try:
            found = experiment.client.get_model_version_by_alias(name, CHAMPION)
        except import_mlflow().exceptions.MlflowException as error:
            if _is_absent(error):
                return None
            raise
    return ModelVersion(name, str(found.version))


def move_champion(experiment: Experiment, version: ModelVersion) -> None:
    """Let the alias ``champion`` name this version, and no other."""
    with _named(experiment, f"{version.uri}: can't be made champion"):
        experiment.client.set_registered_model_alias(version.name, CHAMPION, version.version)


def _is_absent(error: Any) -> bool:  # noqa: ANN401 (MLflow's exception)
    # A missing alias is an invalid parameter to the sqlite store, a missing resource to servers.
    absent: bool = error.error_code == "RESOURCE_DOES_NOT_EXIST" or "alias" in str(error).lower()
    return absent


def _create_name(client: Any, name: str) -> None:  # noqa: ANN401
    try:
        client.create_registered_model(name)
    except import_mlflow().exceptions.MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise


def _save(package: Path, folder: Path, metadata: dict[str, Any]) -> Path:
    mlflow = import_mlflow()
    saved = folder / _FOLDER
    requirements = [f"{name}=={version(name)}" for name in _REQUIREMENTS]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*input example was not provided")  # the signature says it all
        mlflow.pyfunc.save_model(
            path=str(saved),
            python_model=str(_CODE_FILE),
            artifacts={PACKAGE_ARTIFACT: str(package.absolute())},
            code_paths=[str(_copy_code(folder))],
            signature=_build_signature(mlflow),
            conda_env={
                "name": "detector",
                "dependencies": [f"python={platform.python_version()}", "pip", {"pip": requirements}],
            },
            metadata=metadata,
        )
    return saved


def _copy_code(folder: Path) -> Path:
    """Copy this library's own code, so that a version runs where the library isn't installed."""
    copied = folder / "code" / "detector"
    shutil.copytree(
        Path(str(detector.__file__)).parent, copied, ignore=shutil.ignore_patterns("__pycache__", "*.pyc")
    )
    return copied


def _build_signature(mlflow: Any) -> Any:  # noqa: ANN401
    types = mlflow.types.schema
    numbers = [types.Property(name, "float") for name in ("score", "y_min", "x_min", "y_max", "x_max")]
    box = types.Object([types.Property("class_id", "long"), types.Property("label", "string"), *numbers])
    # More than one column: MLflow's spark_udf can't give a list of objects alone (3.17).
    sizes = [types.ColSpec("long", name) for name in ("width_px", "height_px")]
    return mlflow.models.ModelSignature(
        inputs=types.Schema([types.ColSpec("binary", "image")]),
        outputs=types.Schema([types.ColSpec(types.Array(box), "detections"), *sizes]),
    )


def _named(experiment: Experiment, what: str) -> Any:  # noqa: ANN401 (a context manager)
    where = f"registry {hide_secrets(experiment.registry_uri)}: {what}"
    return name_failures(where, experiment.registry_uri, ModelError)
