"""Whole runs on a shared session with the demo's model: what is scored, skipped, failed, written."""

import os
import time
from collections import Counter
from pathlib import Path

import deltalake
import pytest

from detector.scoring import job
from detector.scoring.job import score

pytestmark = pytest.mark.spark


def read_scores(tmp_path):
    """Read scores with another reader than Spark, as a list of rows."""
    return deltalake.DeltaTable(str(tmp_path / "tables" / "scores")).to_pyarrow_table().to_pylist()


def test_a_second_run_scores_only_what_is_new(spark, make_settings, photos, tmp_path, monkeypatch):
    """1,000 files; again: nothing, no model; ten more: ten; one replaced: one, the old row stays."""
    folder = photos(range(1000))
    settings = make_settings()
    first = score(spark, settings)
    assert (first.listed, first.scored, first.failed, first.skipped) == (1000, 1000, 0, 0)

    with monkeypatch.context() as patched:
        patched.setattr(job, "create_worker", None)  # calling it would raise: nothing may load a model
        second = score(spark, settings)
    assert (second.listed, second.scored, second.skipped_reasons) == (1000, 0, {"already_scored": 1000})

    photos_of_tomorrow = folder / "photo00007.jpg"
    photos_of_tomorrow.write_bytes(photos_of_tomorrow.read_bytes() + b"\0")
    for number in range(10):
        (folder / f"new{number}.jpg").write_bytes((folder / f"photo0000{number}.jpg").read_bytes())
    third = score(spark, settings)
    assert (third.listed, third.scored, third.skipped) == (1010, 11, 999)

    versions = Counter(row["media_uri"] for row in read_scores(tmp_path))
    assert [uri for uri, count in versions.items() if count > 1] == [str(photos_of_tomorrow)]
    assert versions.total() == 1011


def test_rescore_keeps_the_older_rows(spark, make_settings, photos, tmp_path):
    """--run.rescore scores everything again under a new attempt."""
    photos(range(3))
    score(spark, make_settings())
    assert score(spark, make_settings(run={"rescore": True})).scored == 3
    attempts = Counter(row["attempt"] for row in read_scores(tmp_path))
    assert attempts == {0: 3, 1: 3}


def test_every_file_of_the_walk_is_accounted_for(spark, make_settings, photos, tmp_path):
    """Pictures, a broken one, an empty one, a hidden one, a text, a symlink: listed = scored + failed + skipped."""
    folder = photos(range(3))
    (folder / "deep").mkdir()
    whole = (folder / "photo00000.jpg").read_bytes()
    (folder / "deep" / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    (folder / "deep" / "empty.png").touch()
    (folder / ".hidden.jpg").write_bytes(whole)
    (folder / "notes.txt").write_text("no picture")
    (folder / "link.jpg").symlink_to(folder / "photo00001.jpg")
    summary = score(spark, make_settings())
    walked = sum(len(files) for _, _, files in os.walk(folder))
    assert summary.listed == walked == summary.scored + summary.failed + summary.skipped
    assert (summary.scored, summary.failed) == (3, 2)
    assert summary.skipped_reasons == {"hidden": 1, "symlink": 1, "not_included": 1}
    found = {
        Path(row["media_uri"]).name: (row["status"], row["error_class"]) for row in read_scores(tmp_path)
    }
    assert found == {
        **{f"photo0000{number}.jpg": ("scored", None) for number in range(3)},
        "cut.jpg": ("failed", "DamagedImage"),
        "empty.png": ("failed", "EmptyMedia"),
        ".hidden.jpg": ("skipped", "hidden"),
        "link.jpg": ("skipped", "symlink"),
        "notes.txt": ("skipped", "not_included"),
    }


def test_the_runs_table_says_what_was_done(spark, make_settings, photos, tmp_path):
    """One row per run, its counts those of the summary, its settings without the options of URIs."""
    photos(range(2))
    summary = score(spark, make_settings())
    (row,) = deltalake.DeltaTable(str(tmp_path / "tables" / "runs")).to_pyarrow_table().to_pylist()
    assert (row["run_id"], row["status"], row["listed"], row["scored"], row["remaining"]) == (
        summary.run_id,
        "done",
        2,
        2,
        0,
    )
    assert '"min_score": 0.05' in row["settings"]
    assert dict(row["versions"])["spark"] == spark.version


def test_young_files_wait(spark, make_settings, photos, tmp_path):
    """A file younger than media.min_age_s is left for a later run, and leaves no row."""
    folder = photos(range(2))
    old = time.time() - 3600
    os.utime(folder / "photo00000.jpg", (old, old))
    settings = make_settings(media={"min_age_s": 600})
    assert score(spark, settings).skipped_reasons == {"too_young": 1}
    os.utime(folder / "photo00001.jpg", (old, old))
    assert score(spark, settings).scored == 1


def test_a_run_of_several_commits_publishes_all(spark, make_settings, photos, tmp_path):
    """Seven files, two a commit: seven rows, and the detections of scores are those of detections."""
    photos(range(7))
    summary = score(
        spark, make_settings(run={"commit_units": 2}, model={"min_score": 0.0, "max_detections": 5})
    )
    versions = deltalake.DeltaTable(str(tmp_path / "tables" / "scores")).version()
    flat = deltalake.DeltaTable(str(tmp_path / "tables" / "detections")).to_pyarrow_table()
    assert (summary.scored, versions) == (7, 4)
    assert summary.detections == flat.num_rows == sum(row["detection_count"] for row in read_scores(tmp_path))
    assert len(set(flat.column("detection_id").to_pylist())) == flat.num_rows > 0


def test_a_run_that_breaks_leaves_what_it_committed(spark, make_settings, photos, tmp_path, monkeypatch):
    """The third commit fails: the run's row says so and how many remain; the next run scores the rest."""
    photos(range(7))
    settings = make_settings(run={"commit_units": 2})
    commits = []
    insert = job.TableStore.insert_new_scores

    def insert_twice(store, scores):
        commits.append(1)
        if len(commits) == 3:
            raise OSError("the disk is full")
        return insert(store, scores)

    with monkeypatch.context() as patched:
        patched.setattr(job.TableStore, "insert_new_scores", insert_twice)
        with pytest.raises(OSError, match="full"):
            score(spark, settings)
    (row,) = deltalake.DeltaTable(str(tmp_path / "tables" / "runs")).to_pyarrow_table().to_pylist()
    assert (row["status"], row["scored"], row["remaining"]) == ("failed", 4, 3)
    again = score(spark, settings)
    assert (again.scored, again.skipped) == (3, 4)


def test_a_manifest_names_the_media(spark, make_settings, photos, tmp_path):
    """A CSV and a Delta table of URIs: the files they name, a missing one fails by name, doubles count once."""
    folder = photos(range(3))
    uris = [str(folder / "photo00000.jpg"), str(folder / "photo00002.jpg"), str(folder / "gone.jpg")]
    manifest = tmp_path / "manifest.csv"
    manifest.write_text("media_uri,note\n" + "".join(f'"{uri}",x\n' for uri in [*uris, uris[0]]))
    by_csv = score(spark, make_settings(media={"paths": [], "manifest": str(manifest)}))
    assert (by_csv.listed, by_csv.scored, by_csv.failed) == (3, 2, 1)
    failed = [row["error_class"] for row in read_scores(tmp_path) if row["status"] == "failed"]
    assert failed == ["MediaNotFound"]

    spark.createDataFrame([(uri,) for uri in uris[:2]], "uri string").write.format("delta").save(
        str(tmp_path / "manifest")
    )
    by_delta = score(spark, make_settings(media={"paths": [], "manifest": str(tmp_path / "manifest")}))
    assert (by_delta.listed, by_delta.skipped_reasons) == (2, {"already_scored": 2})


def test_another_scorer_is_new_work(spark, make_settings, photos):
    """A setting that changes results scores everything anew; one that does not, nothing."""
    photos(range(2))
    score(spark, make_settings())
    assert score(spark, make_settings(model={"batch_size": 3})).scored == 0
    assert score(spark, make_settings(model={"min_score": 0.3})).scored == 2


def test_a_bucket_is_scored_like_a_folder(spark, make_settings, drawn_jpegs):
    """A real S3 server: options of the URI reach the workers, and stand in no table; the model too large to send."""
    import boto3
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        client = boto3.client(
            "s3",
            endpoint_url=f"http://{host}:{port}",
            region_name="us-east-1",
            aws_access_key_id="id",
            aws_secret_access_key="hush",
        )
        client.create_bucket(Bucket="photos")
        for number, content in enumerate(drawn_jpegs[:3]):
            client.put_object(Bucket="photos", Key=f"day/{number}.jpg", Body=content)
        options = f"endpoint_override={host}:{port}&scheme=http&region=us-east-1"
        path = f"s3://id:hush@photos/day?{options}"
        settings = make_settings(media={"paths": [path]}, model={"broadcast_max_bytes": 0})
        assert score(spark, settings).scored == 3
        assert score(spark, settings).skipped_reasons == {"already_scored": 3}
    finally:
        server.stop()
    for table in ("scores", "runs", "detections"):
        rows = deltalake.DeltaTable(f"{settings.tables.root}/{table}").to_pyarrow_table().to_pylist()
        assert rows
        assert "hush" not in str(rows)
    uris = (
        deltalake.DeltaTable(f"{settings.tables.root}/scores")
        .to_pyarrow_table()
        .column("media_uri")
        .to_pylist()
    )
    assert sorted(uris) == [f"s3://photos/day/{number}.jpg" for number in range(3)]


def test_two_runs_at_once_score_each_file_once(spark, make_settings, photos, tmp_path):
    """Both plan the same six files; one row each, and the counts of both runs add up."""
    import threading

    photos(range(6))
    score(spark, make_settings(media={"include": ["photo00000.jpg"]}))
    barrier, summaries = threading.Barrier(2), []

    def run():
        barrier.wait()
        summaries.append(score(spark, make_settings(run={"commit_units": 2})))

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    rows = [row for row in read_scores(tmp_path) if row["status"] == "scored"]
    flat = deltalake.DeltaTable(str(tmp_path / "tables" / "detections")).to_pyarrow_table()
    assert len(rows) == len({row["media_uri"] for row in rows}) == 6
    assert sum(summary.scored for summary in summaries) == 5
    assert all(s.listed == s.scored + s.failed + s.skipped == 6 for s in summaries)
    assert flat.num_rows == sum(row["detection_count"] for row in rows)


def test_an_overtaken_run_leaves_the_rest(spark, make_settings, photos, tmp_path, monkeypatch):
    """Another run scores all but one while the first works on two: the first then scores that one alone."""
    files = sorted(photos(range(8)).iterdir(), key=lambda file: (-file.stat().st_size, str(file)))
    settings = make_settings(run={"commit_units": 2})
    scored_here, execute = [], job.score_on_executors

    def be_overtaken(spark, worker, tasks):
        results = execute(spark, worker, tasks)
        scored_here.append(sum(task.num_rows for task in tasks))
        if len(scored_here) == 1:
            monkeypatch.setattr(job, "score_on_executors", execute)
            score(spark, make_settings(media={"paths": [str(file) for file in files[:-1]]}))
            monkeypatch.setattr(job, "score_on_executors", be_overtaken)
        return results

    monkeypatch.setattr(job, "score_on_executors", be_overtaken)
    summary = score(spark, settings)
    assert scored_here == [2, 1]
    assert (summary.scored, summary.skipped_reasons) == (1, {"scored_by_another_run": 7})
    assert len(read_scores(tmp_path)) == 8


def test_a_schema_works_as_a_folder_does(spark, make_settings, photos, tmp_path):
    """--tables.schema writes into the catalog; SQL finds it by name."""
    photos(range(2))
    tables = {"root": None, "schema": "spark_catalog.nightly", "checkpoints": str(tmp_path / "progress")}
    assert score(spark, make_settings(tables=tables)).scored == 2
    counted = spark.sql("SELECT status, count(*) FROM nightly.scores GROUP BY 1").collect()
    assert [tuple(row) for row in counted] == [("scored", 2)]
