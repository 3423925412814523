"""MLflow's registry of models, read: from ``models:/NAME@ALIAS`` or ``models:/NAME/VERSION`` to files.

Owns how MLflow is imported (only where it is wanted, its telemetry off), the two forms of a registered
model's URI, and what of a registered version is the model. Runs no code that came with a version: files are
all it takes. Shows no secrets of a URI. Asked on the driver alone: executors get the files.
"""

import atexit
import logging
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

from detector.errors import DetectorError, InstallationError, ModelError
from detector.models.signature import locate_model

PACKAGE_ARTIFACT = "package"  # the name that registration gives the package's folder
CHAMPION = "champion"
_SCHEME = "models:/"
_MLMODEL = "MLmodel"
_FORMS = f"{_SCHEME}NAME@ALIAS or {_SCHEME}NAME/VERSION"
_TRIES = "3"  # of MLflow's requests; its own default waits four minutes for a server that is away


@dataclass(frozen=True)
class RegisteredModel:
    """A version in the registry, as files: ``path`` is a package's folder, or a model that others logged."""

    path: Path
    name: str
    version: str


@dataclass(frozen=True)
class RegisteredUri:
    """What a ``models:/`` URI names: a version, or an alias that stands for one."""

    name: str
    version: str | None
    alias: str | None


def import_mlflow() -> Any:  # noqa: ANN401 (MLflow's modules are not typed here)
    """Import MLflow with its telemetry off. Raises ``InstallationError`` where it isn't installed."""
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    os.environ["DO_NOT_TRACK"] = "true"
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", _TRIES)
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    try:
        import mlflow
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "mlflow":
            raise
        raise InstallationError(
            "models:/ and experiments need MLflow: install this project with its extra train"
        ) from error
    logging.getLogger("mlflow.store.db").setLevel(logging.WARNING)  # tells that it made its tables
    return mlflow


def is_registered(uri: str) -> bool:
    """Tell whether a URI names a model of the registry.

    >>> is_registered("models:/birds@champion"), is_registered("/models/birds")
    (True, False)
    """
    return uri.startswith(_SCHEME)


def parse_registered(uri: str) -> RegisteredUri:
    """Take a ``models:/`` URI apart; ``NAME`` may be catalog.schema.name. Raises ``ModelError``.

    >>> parse_registered("models:/birds@champion")
    RegisteredUri(name='birds', version=None, alias='champion')
    """
    whole = uri.removeprefix(_SCHEME)
    if matched := re.fullmatch(r"([^/@]+)@([^/@]+)", whole):
        return RegisteredUri(matched[1], None, matched[2])
    if matched := re.fullmatch(r"([^/@]+)/(\d+)", whole):
        return RegisteredUri(matched[1], matched[2], None)
    raise ModelError(f"{uri}: give {_FORMS}")


def fetch_registered(
    uri: str, registry_uri: str | None = None, folder: Path | None = None
) -> RegisteredModel:
    """Download the model that a ``models:/`` URI names.

    ``registry_uri`` is by default what MLFLOW_REGISTRY_URI or MLFLOW_TRACKING_URI says. ``folder`` is by
    default a temporary one that goes when this process ends. Raises ``ModelError`` when there is no such
    model, version or alias, the registry doesn't answer, or what it holds is no SavedModel.
    """
    wanted = parse_registered(uri)
    registry = registry_uri or _read_environment(uri)
    mlflow = import_mlflow()
    if folder is None:
        folder = Path(tempfile.mkdtemp(prefix="detector-registered-"))
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
    with name_failures(f"{uri} in the registry {hide_secrets(registry)}", registry):
        client = mlflow.MlflowClient(tracking_uri=registry, registry_uri=registry)
        version = wanted.version or client.get_model_version_by_alias(wanted.name, wanted.alias).version
        whole = mlflow.artifacts.download_artifacts(
            artifact_uri=_locate_files(client, wanted.name, version, registry),
            dst_path=str(folder),
            tracking_uri=os.environ.get("MLFLOW_TRACKING_URI") or registry,  # whose files they may be
            registry_uri=registry,
        )
    return RegisteredModel(_find_package(Path(whole), uri), wanted.name, str(version))


@contextmanager
def name_failures(what: str, uri: str, error_class: type[DetectorError] = ModelError) -> Iterator[None]:
    """Turn errors of MLflow, its database and the network into ours: ``what`` was asked, without secrets."""
    mlflow = import_mlflow()
    from sqlalchemy.exc import SQLAlchemyError  # a dependency of MLflow

    try:
        yield
    except (mlflow.exceptions.MlflowException, OSError, SQLAlchemyError) as error:
        # Neither the cause nor its trace: both may hold the URI with its password.
        raise error_class(f"{what}: {_shorten(str(error), uri)}") from None


def hide_secrets(uri: str) -> str:
    """Give a URI without user, password and query.

    >>> hide_secrets("https://user:key@mlflow.example:5000/registry?token=1")
    'https://mlflow.example:5000/registry'
    """
    parts = urlsplit(uri)
    if not parts.scheme or not parts.netloc:
        return uri.partition("?")[0]
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def _locate_files(client: Any, name: str, version: str, registry: str) -> str:  # noqa: ANN401
    # Of models:/ MLflow asks the registry that it's given for Databricks alone, for others its global one.
    if registry.startswith("databricks"):
        return f"{_SCHEME}{name}/{version}"
    return str(client.get_model_version_download_uri(name, version))


def _read_environment(uri: str) -> str:
    for variable in ("MLFLOW_REGISTRY_URI", "MLFLOW_TRACKING_URI"):
        if value := os.environ.get(variable):
            return value
    raise ModelError(
        f"{uri}: where is the registry? Give model.registry_uri (sqlite:///FILE, http(s)://HOST, "
        "databricks-uc) or the environment variable MLFLOW_TRACKING_URI"
    )


def _shorten(text: str, uri: str) -> str:
    parts = urlsplit(uri)
    text = text.replace(uri, hide_secrets(uri))
    for secret in filter(None, (parts.password, parts.query)):
        text = text.replace(secret, "***")
    return " ".join(text.split())[:500]


def _find_package(whole: Path, uri: str) -> Path:
    flavors = _read_flavors(whole, uri)
    artifacts: dict[str, Any] = flavors.get("python_function", {}).get("artifacts", {})
    places = [artifacts.get(PACKAGE_ARTIFACT, {}).get("path")]
    places += [artifact.get("path") for artifact in artifacts.values()]
    places += ["data/model", "data"]  # where MLflow's own TensorFlow flavor puts a SavedModel
    for place in filter(None, places):
        found: Path = (whole / place).resolve()
        if found.is_relative_to(whole.resolve()) and _is_model(found):
            return found
    raise ModelError(
        f"{uri}: the version holds no SavedModel or frozen graph (flavors: {', '.join(sorted(flavors))}); "
        "register a package of jobs/train.py"
    )


def _read_flavors(whole: Path, uri: str) -> dict[str, Any]:
    try:
        content = yaml.safe_load((whole / _MLMODEL).read_text(encoding="utf-8"))
        return dict(content["flavors"])
    except (OSError, UnicodeDecodeError, yaml.YAMLError, KeyError, TypeError, ValueError) as error:
        raise ModelError(f"{uri}: its file {_MLMODEL} can't be read: {error}") from error


def _is_model(path: Path) -> bool:
    try:
        locate_model(path)
    except ModelError:
        return False
    return True
