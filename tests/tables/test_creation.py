"""Making tables beside a run that makes them too, or that was killed while it did."""

import dataclasses
import threading

import deltalake
import pytest
from pyspark.errors import AnalysisException

from detector.errors import SettingsError
from detector.settings import TableSettings
from detector.tables import creation
from detector.tables.schemas import SCORES
from detector.tables.store import open_store

pytestmark = pytest.mark.spark


@pytest.fixture
def store(spark, tmp_path, monkeypatch):
    """Give a store in a folder that isn't there yet, which waits for nobody for long."""
    monkeypatch.setattr(creation, "_PATIENCE_S", 0.5)
    return open_store(spark, TableSettings(root=str(tmp_path / "o'lake")))


def test_a_run_killed_while_it_made_a_table_does_not_block_the_next(store, tmp_path):
    """The folder of the log, and a commit that was never finished: the table is made, with all that it has."""
    log = tmp_path / "o'lake" / "scores" / "_delta_log"
    log.mkdir(parents=True)
    (log / ".00000000000000000000.json.abc.tmp").write_text("half")
    store.create([SCORES])
    store.create([SCORES])
    found = deltalake.DeltaTable(f"{store.root}/scores")
    assert found.metadata().description == SCORES.comment
    assert {f.name: f.metadata["comment"] for f in found.schema().fields} == {
        c.name: c.comment for c in SCORES.columns
    }
    [detail] = store.open(SCORES).detail().select("clusteringColumns").collect()
    assert tuple(detail.clusteringColumns) == SCORES.clustered_by


@pytest.mark.parametrize("name", ["mine.parquet", "IMG.JPG"])
def test_a_folder_of_other_files_is_refused(store, tmp_path, name):
    """By its name and a file's, and nothing is written into it."""
    folder = tmp_path / "o'lake" / "scores"
    folder.mkdir(parents=True)
    (folder / name).touch()
    with pytest.raises(SettingsError, match=rf"o'lake/scores holds {name} and is no Delta table"):
        store.create([SCORES])
    assert [path.name for path in folder.iterdir()] == [name]


def test_a_run_that_is_making_the_table_is_waited_for(store, tmp_path, monkeypatch):
    """It has made the log's folder and commits a moment later: nothing is written beside it."""
    log = tmp_path / "o'lake" / "scores" / "_delta_log"
    log.mkdir(parents=True)
    answers = iter([False] * 4 + [True] * 4)
    monkeypatch.setattr(creation, "_is_made", lambda *_: next(answers))
    monkeypatch.setattr(creation, "_PATIENCE_S", 60)
    store.create([SCORES])
    assert list(log.iterdir()) == []


@pytest.mark.parametrize(
    ("changes", "condition"),
    [
        ({"columns": (*SCORES.columns, SCORES.columns[0])}, "COLUMN_ALREADY_EXISTS"),
        ({"clustered_by": ("nothing",)}, "UNSUPPORTED_FEATURE"),
    ],
)
def test_a_definition_that_spark_refuses_is_raised(store, changes, condition):
    """Only a folder that isn't empty is looked into; any other error is told as it is."""
    with pytest.raises(AnalysisException, match=condition):
        store.create([dataclasses.replace(SCORES, **changes)])


def test_several_make_the_tables_at_once(store):
    """Four threads: all of them end with the tables there, none with an error."""
    failures, barrier = [], threading.Barrier(4)

    def create():
        barrier.wait()
        try:
            store.create()
        except Exception as error:  # noqa: BLE001 (shown by the assertion below)
            failures.append(error)

    threads = [threading.Thread(target=create) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert store.read(SCORES).count() == 0
