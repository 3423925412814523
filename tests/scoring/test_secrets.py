"""Secrets of settings: in no message, no table and no page, wherever a setting may hold one and whatever fails."""

import importlib.util

import deltalake
import pytest
import yaml

from detector.errors import SettingsError
from detector.redaction import find_secrets, make_safe, make_values_safe
from detector.scoring import job
from detector.scoring.job import score
from detector.settings import ScoreSettings
from detector.training.train_settings import TrainSettings

from .conftest import DEMO_LABELS, DEMO_MODEL, PROJECT

SECRET = "CANARYsecret"
SIGNED = f"abfss://box@account.dfs.core.windows.net/a?sv=2024-11-04&sr=c&sp=rl&sig={SECRET}%2Fx%3D"
WITH_PASSWORD = f"http://me:{SECRET}@127.0.0.1:9"
S3 = f"s3://AKIAIOSFODNN7EXAMPLE:{SECRET}@127.0.0.1:9/a?endpoint_override=127.0.0.1:9&scheme=http&nonsense={SECRET}"


def load_job(name):
    """Load a job's main function."""
    spec = importlib.util.spec_from_file_location(f"job_{name}", PROJECT / "jobs" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.main


def flags(**changes):
    """Give flags of a scoring job with the demo's model."""
    given = {"model.uri": DEMO_MODEL, "model.labels": DEMO_LABELS} | {
        key.replace("__", "."): value for key, value in changes.items()
    }
    return [str(word) for key, value in given.items() for word in (f"--{key}", value)]


@pytest.mark.spark
@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("score", {"media__paths": S3}),
        ("score", {"media__paths": SIGNED}),
        ("score", {"media__manifest": SIGNED}),
        ("score", {"media__manifest": f"s3a://me:{SECRET}@bucket/manifest.csv"}),
        ("score", {"media__paths": "photos", "model__uri": SIGNED}),
        ("score", {"media__paths": "photos", "model__uri": S3}),
        ("score", {"media__paths": "photos", "model__uri": "models:/birds@champion", "model__registry_uri": WITH_PASSWORD}),
        ("score", {"media__paths": "photos", "tables__root": SIGNED}),
        ("score", {"media__paths": "photos", "media__max_pixels": SIGNED}),
        ("score", {"media__paths": "photos", "tables__root": None, "tables__schema": "a..b", "tables__checkpoints": SIGNED}),
        ("report", {"tables__root": SIGNED}),
        ("maintain", {"tables__root": SIGNED}),
        ("evaluate", {"data__root": "photos", "tables__root": SIGNED, "tables__labels": DEMO_LABELS}),
        ("train", {"data__root": "photos", "tracking__uri": f"{WITH_PASSWORD}?token={SECRET}"}),
    ],
)  # fmt: skip
def test_no_refusal_shows_a_secret(spark, photos, tmp_path, monkeypatch, capfd, name, changes):
    """A place that can't be reached or isn't what it should be: refused or failed by name, without what it holds."""
    photos([0])
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    given = {"tables__root": "tables"} | changes if name == "score" else changes
    words = [
        str(w)
        for key, value in given.items()
        if value is not None
        for w in (f"--{key.replace('__', '.')}", value)
    ]
    if name == "score":
        model = {"model.uri": DEMO_MODEL, "model.labels": DEMO_LABELS}
        words += [
            str(w) for key, value in model.items() if f"--{key}" not in words for w in (f"--{key}", value)
        ]
    assert load_job(name)(words) in (1, 2)
    printed = capfd.readouterr()
    assert printed.err.strip()
    assert SECRET not in printed.out + printed.err


@pytest.mark.spark
def test_an_unexpected_error_reaches_the_table_without_secrets(
    spark, make_settings, photos, tmp_path, monkeypatch
):
    """What a driver raises may quote an address with a key, a setting's value or bytes of a file."""
    photos([0])
    conf = {"spark.hadoop.fs.s3a.secret.key": f"{SECRET}0"}
    manifest = tmp_path / f"list?sig={SECRET}1.csv"
    manifest.write_text(f"media_uri\n{tmp_path}/photos/photo00000.jpg\n")
    settings = make_settings(media={"manifest": str(manifest)}, spark={"conf": conf})

    def fail(_store, _scores):
        raise RuntimeError(
            f"PUT {WITH_PASSWORD}?sig={SECRET}&x=1 with key {SECRET}0: b'GPS {SECRET}' came back"
        )

    monkeypatch.setattr(job.TableStore, "insert_new_scores", fail)
    with pytest.raises(RuntimeError):
        score(spark, settings)
    [run] = deltalake.DeltaTable(str(tmp_path / "tables" / "runs")).to_pyarrow_table().to_pylist()
    assert (
        run["error_message"]
        == "RuntimeError: PUT http://***@127.0.0.1:9?sig=***&x=1 with key ***: b*** came back"
    )
    assert SECRET not in str(run)


def test_settings_are_described_without_secrets():
    """The column settings: addresses stay, what only a key's holder knows goes."""
    settings = ScoreSettings(
        media={"paths": [S3, SIGNED, "/photos"], "manifest": SIGNED},
        model={"uri": SIGNED, "registry_uri": WITH_PASSWORD, "labels": "/labels.txt"},
        tables={"root": SIGNED, "checkpoints": S3},
        spark={"conf": {"spark.hadoop.fs.azure.account.key": SECRET}},
    )
    described = job._describe_settings(settings)
    assert SECRET not in described
    assert "abfss://box@account.dfs.core.windows.net/a" in described
    assert "/photos" in described


def test_a_package_s_settings_hold_no_password(tmp_path):
    """training.yaml goes wherever the package goes."""
    settings = TrainSettings(data={"root": "photos"}, tracking={"uri": WITH_PASSWORD})
    described = make_values_safe(settings.model_dump(mode="json", exclude={"config"}, by_alias=True))
    assert yaml.safe_load(yaml.safe_dump(described))["tracking"]["uri"] == "http://***@127.0.0.1:9"


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        ("postgresql://u:p@h/db failed", "postgresql://***@h/db failed"),
        ("s3://AKIAIOSFODNN7EXAMPLE:a/b+c@bucket/k", "s3://***@bucket/k"),
        ("AKIAIOSFODNN7EXAMPLE is unknown", "*** is unknown"),
        ("GET /a.jpg?X-Amz-Security-Token=abc&x=1", "GET /a.jpg?X-Amz-Security-Token=***&x=1"),
        ('{"fs.azure.account.key.a": "abc", "x": 1}', '{"fs.azure.account.key.a": "***", "x": 1}'),
        ("AccountKey=abc;EndpointSuffix=x", "AccountKey=***;EndpointSuffix=x"),
        ("hdfs://name:8020/a@b.jpg", "hdfs://name:8020/a@b.jpg"),
        ("abfss://box@account/a.jpg", "abfss://box@account/a.jpg"),
        ("int() got b'bytes of \\'a\\' file'", "int() got b***"),
        ("/photos/design=1/a.jpg: unexpected token here", "/photos/design=1/a.jpg: unexpected token here"),
    ],
)
def test_secrets_are_told_by_their_looks(text, safe):
    """Logins, values by their names, key ids and quoted bytes go; names of files and hosts stay."""
    assert make_safe(text) == safe


def test_known_secrets_are_hidden_wherever_they_stand():
    """Values of options too short to be one stay, and so does what says where to connect."""
    known = {"uri": S3, "conf": {"password": "pass1234"}, "list": [SIGNED]}
    assert find_secrets(known) >= {SECRET, "pass1234", f"{SECRET}%2Fx%3D", f"{SECRET}/x="}
    assert not find_secrets(known) & {"c", "rl", "http", "127.0.0.1:9"}
    assert make_safe(f"pass1234 {SECRET}/x=", known) == "*** ***"
    with pytest.raises(SettingsError, match=r"\*\*\*"):
        raise SettingsError(make_safe(SettingsError(SIGNED), known))
