"""Registered models as scoring takes them: by alias and by version, whole, named, and nothing of MLflow run."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from detector.annotations.shapes import draw_picture
from detector.errors import LabelMapError, ModelError
from detector.models.package import compute_digest
from detector.models.registry import (
    fetch_registered,
    hide_secrets,
    import_mlflow,
    is_registered,
    parse_registered,
)
from detector.models.source import find_model
from detector.scoring.scorer import load_scorer
from detector.settings import ModelSettings

DEMO = Path(__file__).resolve().parents[2] / "conf" / "demo"
MLMODEL = "flavors:\n  python_function:\n    artifacts:\n      package: {path: artifacts/any}\n"


@pytest.fixture(scope="module")
def registry(tmp_path_factory):
    """Give the address of a registry with two versions of ``shapes``, the first one champion, and three odd ones.

    ``shapes`` 1 is the demo's package, 2 the same model alone; ``outside`` points out of its folder, ``text``
    holds no model, ``bare`` no MLmodel.
    """
    folder = tmp_path_factory.mktemp("registry")
    address = f"sqlite:///{folder}/mlflow.db"
    client = import_mlflow().MlflowClient(tracking_uri=address, registry_uri=address)
    for name in ("shapes", "outside", "text", "bare"):
        client.create_registered_model(name)
    for number, (name, mlmodel, files) in enumerate(
        [
            ("shapes", MLMODEL, ["saved_model", "label_map.pbtxt"]),
            ("shapes", MLMODEL, ["saved_model"]),
            ("outside", MLMODEL.replace("artifacts/any", f"../../../../../../..{DEMO}"), []),
            ("text", MLMODEL, ["label_map.pbtxt"]),
            ("bare", None, ["saved_model"]),
        ]
    ):
        version = folder / f"files{number}"
        (version / "artifacts" / "any").mkdir(parents=True)
        for file in files:
            copy = shutil.copytree if (DEMO / file).is_dir() else shutil.copy
            copy(DEMO / file, version / "artifacts" / "any" / file)
        if mlmodel:
            (version / "MLmodel").write_text(mlmodel)
        client.create_model_version(name, version.as_uri())
    client.set_registered_model_alias("shapes", "champion", "1")
    return address


@pytest.mark.parametrize("uri", ["models:/shapes@champion", "models:/shapes/1"])
def test_scorer_has_the_registered_name_and_version(registry, uri):
    """Alias and number give the same model, its own labels, and what the tables say of it."""
    scorer = load_scorer(ModelSettings(uri=uri, registry_uri=registry))
    assert (scorer.name, scorer.version) == ("shapes", "1")
    assert scorer.model_digest == compute_digest(DEMO / "saved_model")
    assert scorer.labels.names[1] == "circle"
    assert scorer.settings.registry_uri is None  # what workers get holds no address of the registry


def test_alias_that_moved_names_the_new_version(registry):
    """The alias is asked each time; the settings win over the registry's names."""
    client = import_mlflow().MlflowClient(tracking_uri=registry, registry_uri=registry)
    client.set_registered_model_alias("shapes", "challenger", "2")
    source = find_model(ModelSettings(uri="models:/shapes@challenger", registry_uri=registry, name="mine"))
    assert (source.name, source.version, source.labels.names) == ("mine", "2", {})


@pytest.mark.parametrize("variable", ["MLFLOW_REGISTRY_URI", "MLFLOW_TRACKING_URI"])
def test_environment_names_the_registry(registry, monkeypatch, tmp_path, variable):
    """Without model.registry_uri, MLflow's own variables say where to ask."""
    for other in ("MLFLOW_REGISTRY_URI", "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(other, raising=False)
    monkeypatch.setenv(variable, registry)
    assert fetch_registered("models:/shapes/2", folder=tmp_path).version == "2"


def test_without_a_registry_nothing_is_asked(monkeypatch):
    """No address anywhere: refused by name; MLflow's default would be a server or a file of its own."""
    for variable in ("MLFLOW_REGISTRY_URI", "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(variable, raising=False)
    with pytest.raises(ModelError, match=r"Give model\.registry_uri"):
        load_scorer(ModelSettings(uri="models:/shapes@champion"))


@pytest.mark.parametrize(
    ("uri", "words"),
    [
        ("models:/unheard@champion", "unheard"),
        ("models:/shapes@nobody", "nobody"),
        ("models:/shapes/7", "7"),
        ("models:/outside/1", "holds no SavedModel"),
        ("models:/text/1", "holds no SavedModel"),
        ("models:/bare/1", "MLmodel can't be read"),
        ("models:/shapes", "give models:/NAME@ALIAS or models:/NAME/VERSION"),
        ("models:/shapes/latest", "give models:/NAME@ALIAS or models:/NAME/VERSION"),
    ],
)
def test_what_is_not_there_is_named(registry, uri, words):
    """No such model, alias or version; a version that is no model of ours; a form that isn't one."""
    with pytest.raises(ModelError) as caught:
        load_scorer(ModelSettings(uri=uri, registry_uri=registry))
    assert str(caught.value).startswith(uri)
    assert words in str(caught.value)


def test_registry_away_is_named_without_its_password(monkeypatch):
    """Nobody listens at the address: its host is told, its user, password and token aren't."""
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    address = "http://user:secret@127.0.0.1:9/?token=hidden"
    with pytest.raises(ModelError, match=r"127\.0\.0\.1:9") as caught:
        load_scorer(ModelSettings(uri="models:/shapes@champion", registry_uri=address))
    assert "secret" not in str(caught.value)
    assert "hidden" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_local_package_has_its_own_labels(tmp_path):
    """A package's label map is taken where the settings name none; theirs wins; a broken one is refused."""
    package = tmp_path / "birds"
    shutil.copytree(DEMO / "saved_model", package / "saved_model")
    shutil.copy(DEMO / "label_map.pbtxt", package)
    scorer = load_scorer(ModelSettings(uri=str(package)))
    assert (scorer.name, scorer.labels.names[1]) == ("birds", "circle")
    (tmp_path / "mine.txt").write_text("disc\n")
    mine = load_scorer(ModelSettings(uri=str(package), labels=str(tmp_path / "mine.txt")))
    assert mine.labels.names == {1: "disc"}
    (package / "label_map.pbtxt").write_text("item {")
    with pytest.raises(LabelMapError):
        load_scorer(ModelSettings(uri=str(package)))


def test_label_map_inside_a_saved_model_is_none_of_ours(tmp_path):
    """Only the package's own place counts: beside the folder saved_model."""
    model = tmp_path / "model"
    shutil.copytree(DEMO / "saved_model", model)
    shutil.copy(DEMO / "label_map.pbtxt", tmp_path)
    assert find_model(ModelSettings(uri=str(model))).labels.names == {}


@pytest.mark.parametrize("uri", ["models:/a", "models:/a/b/3", "models:/@x", "models:/a@", "models:/a@b/3"])
def test_other_forms_are_refused(uri):
    """A registered model's address names an alias or a number, nothing else."""
    assert is_registered(uri)
    with pytest.raises(ModelError):
        parse_registered(uri)


def test_catalog_names_are_taken():
    """Unity Catalog's names have three parts."""
    assert parse_registered("models:/main.vision.birds@champion").name == "main.vision.birds"


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        ("sqlite:////data/mlflow.db", "sqlite:////data/mlflow.db"),
        ("postgresql://me:key@db:5432/mlflow?sslmode=x", "postgresql://db:5432/mlflow"),
        ("https://TOKEN@host/", "https://host/"),
        ("databricks-uc", "databricks-uc"),
    ],
)
def test_secrets_are_hidden(uri, shown):
    """User, password and query go; the rest tells the place."""
    assert hide_secrets(uri) == shown


@pytest.mark.spark
def test_tables_say_which_version_scored(spark, registry, tmp_path):
    """A run with the champion: model_name and model_version are the registry's, and its labels the package's.

    The model is broadcast although the limit is 0 bytes: executors never ask the registry.
    """
    from detector.scoring.job import score
    from detector.settings import ScoreSettings

    pixels, _, _ = draw_picture(np.random.default_rng(1000), height_px=96, width_px=128)
    Image.fromarray(pixels).save(tmp_path / "picture.png")
    model = {"uri": "models:/shapes@champion", "registry_uri": registry, "broadcast_max_bytes": 0}
    settings = ScoreSettings(
        media={"paths": [str(tmp_path / "picture.png")]},
        model=model,
        tables={"root": str(tmp_path / "tables")},
    )
    assert score(spark, settings).scored == 1
    rows = spark.read.format("delta").load(str(tmp_path / "tables" / "detections"))
    assert {(row.model_name, row.model_version) for row in rows.collect()} == {("shapes", "1")}
    assert "rectangle" in {row.label for row in rows.collect()}
    (run,) = spark.read.format("delta").load(str(tmp_path / "tables" / "runs")).collect()
    assert json.loads(run.settings)["model"]["uri"] == "models:/shapes@champion"
    assert "sqlite" not in run.settings
