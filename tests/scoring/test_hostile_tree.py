"""One run over everything at once: 300 damaged pictures, odd ones of the data pack, an odd tree, and planted secrets."""

import base64
import json
import re
import shutil
import zlib
from collections import Counter
from pathlib import Path

import deltalake
import pytest

from detector.reports.report import ReportSettings, write_report

from . import hostile_tree as tree
from .conftest import run_job
from .test_command import flags

pytestmark = [pytest.mark.own_spark, pytest.mark.timeout(1200)]
SEED = 20261125
S3_SECRET, S3_ID = f"{tree.CANARY}S3secret", "AKIA" + f"{tree.CANARY}000000000000"[:16]
ODD = (
    Path(__file__).resolve().parents[3] / "shared" / "data" / "images_odd"
)  # a part of the run where it is there


@pytest.fixture(scope="module")
def hostile_run(tmp_path_factory, drawn_jpegs):
    """Run the job once over folders and a bucket with credentials; give what it left and printed."""
    import boto3
    from moto.server import ThreadedMotoServer

    folder = tmp_path_factory.mktemp("hostile")
    inside, outside = tree.make_tree(folder)
    cut_baseline = tree.damage_all(folder / "damaged", SEED)
    odd = folder / "odd"
    shutil.copytree(ODD, odd) if ODD.is_dir() else odd.mkdir()
    given = [
        inside,
        odd,
        folder / "damaged",
        f"{inside}/../inside",
        f"{inside}/deep/../d*",
        f"{inside}/*/../*.jpg",
    ]
    server = ThreadedMotoServer(port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        client = boto3.client(
            "s3", endpoint_url=f"http://{host}:{port}", region_name="us-east-1",
            aws_access_key_id=S3_ID, aws_secret_access_key=S3_SECRET,
        )  # fmt: skip
        client.create_bucket(Bucket="strangers")
        client.put_object(Bucket="strangers", Key="remote.jpg", Body=drawn_jpegs[0])
        client.put_object(Bucket="strangers", Key="cut.jpg", Body=tree.encode_all()["baseline.jpg"][:700])
        options = f"endpoint_override={host}:{port}&scheme=http&region=us-east-1"
        paths = [*given, f"s3://{S3_ID}:{S3_SECRET}@strangers/?{options}"]
        words = [word for path in paths for word in ("--media.paths", path)]
        keys = {"spark.hadoop.fs.s3a.access.key": S3_ID, "spark.hadoop.fs.s3a.secret.key": S3_SECRET}
        code, summary, errors = run_job(
            *flags(folder)[2:],
            *words,
            "--spark.conf",
            json.dumps(keys),
            "--run.max_failed_fraction",
            1,
            timeout=900,
        )
    finally:
        server.stop()
    assert code == 0, errors[-3000:]
    rows = deltalake.DeltaTable(str(folder / "tables" / "scores")).to_pyarrow_table().to_pylist()
    return folder, outside, cut_baseline, summary, rows, errors


def test_every_entry_is_accounted_for_as_an_independent_walk_has_it(hostile_run):
    """Listed = scored + failed + skipped, and each entry has the one row that its kind demands."""
    folder, _, _, summary, rows, _ = hostile_run
    expected = {}
    for name in ("inside", "damaged", "odd"):
        expected |= tree.walk(folder / name)
    found = {
        row["media_uri"]: (row["status"], row["error_class"]) for row in rows if "://" not in row["media_uri"]
    }
    assert found.keys() == expected.keys()
    wrong = {
        uri: (status, error_class)
        for uri, (status, error_class) in found.items()
        if not {(status, error_class), (status, None)} & expected[uri]
    }
    assert wrong == {}
    assert len(rows) == len({row["media_uri"] for row in rows}) == len(expected) + 2
    statuses = Counter(row["status"] for row in rows)
    assert summary["listed"] == len(rows) == statuses.total()
    assert {name: summary[name] for name in ("scored", "failed", "skipped")} == dict(statuses)
    skipped = Counter(row["error_class"] for row in rows if row["status"] == "skipped")
    assert summary["skipped_reasons"] == dict(skipped)
    [run] = deltalake.DeltaTable(str(folder / "tables" / "runs")).to_pyarrow_table().to_pylist()
    assert {name: run[name] for name in ("listed", "scored", "failed", "skipped", "remaining")} == {
        name: summary[name] for name in ("listed", "scored", "failed", "skipped")
    } | {"remaining": 0}


def test_odd_names_are_scored(hostile_run):
    """Whatever a name holds, its picture is one; an apparent option in it is none."""
    folder, _, _, _, rows, _ = hostile_run
    scored = {row["media_uri"] for row in rows if row["status"] == "scored"}
    assert {str(folder / "inside" / name) for name in tree.ODD_NAMES} <= scored
    assert any(uri.endswith("far_below.jpg") for uri in scored)


def test_no_cut_jpeg_counts_as_scored(hostile_run):
    """Baseline JPEGs that lack more than their end mark: failed, each with a reason; so is every damaged row."""
    folder, _, cut_baseline, _, rows, _ = hostile_run
    by_name = {row["media_uri"]: row for row in rows}
    cut = [by_name[str(folder / "damaged" / name)] for name in cut_baseline]
    assert {row["status"] for row in cut} == {"failed"}
    assert {row["error_class"] for row in cut} <= {"DamagedImage", "NotAnImage"}
    damaged = [row for uri, row in by_name.items() if "/damaged/" in uri]
    assert len(damaged) == 301
    assert all(row["error_class"] and row["error_message"] for row in damaged if row["status"] == "failed")
    assert not {row["error_class"] for row in damaged} & {"UnexpectedMedia", "Prediction", "UnreadableMedia"}


def test_nothing_outside_is_read(hostile_run):
    """No row is of a file outside, by any name; what would be read by a link has no digest and no size."""
    _, outside, _, _, rows, _ = hostile_run
    assert not [
        row["media_uri"] for row in rows if row["media_uri"].startswith((str(outside), "/etc", "/dev"))
    ]
    links = [row for row in rows if row["error_class"] == "symlink"]
    assert len(links) == 11
    assert all(row["content_sha256"] is row["size_bytes"] is None for row in links)


def unpack_page(page):
    """Give a page's text and the bytes of what is embedded in it."""
    embedded = re.findall(rb"base64,([A-Za-z0-9+/=]+)", page)
    return page + b"".join(base64.b64decode(part) for part in embedded)


def test_no_output_holds_a_secret(hostile_run, tmp_path):
    """Places, comments, keys and passwords are in no table, log or page: neither as text nor as raw bytes."""
    folder, _, _, summary, rows, errors = hostile_run
    page = tmp_path / "report.html"
    write_report(ReportSettings(tables={"root": str(folder / "tables")}, out=page))
    outputs = {"printed": f"{summary} {errors}".encode(), "report.html": unpack_page(page.read_bytes())}
    for path in (folder / "tables").rglob("*"):
        if path.is_file():
            outputs[str(path)] = path.read_bytes()
    for table in ("scores", "detections", "runs"):
        decoded = deltalake.DeltaTable(str(folder / "tables" / table)).to_pyarrow_table()
        assert not [field for field in decoded.schema if "binary" in str(field.type)]
        outputs[table] = str(decoded.to_pylist()).encode()
    assert [name for name, content in outputs.items() if tree.CANARY.encode() in content] == []
    assert any(row["media_uri"] == "s3://strangers/remote.jpg" and row["status"] == "scored" for row in rows)
    assert max(len(row["error_message"] or "") for row in rows) <= 500


def test_the_canaries_are_where_they_were_planted():
    """Else their absence elsewhere says nothing: each encoded picture holds some, compressed text unpacked."""
    for name, content in tree.encode_all().items():
        packed = re.findall(rb"zTXt.*?\0\0(.*)", content, re.DOTALL)
        assert tree.CANARY.encode() in content + b"".join(
            zlib.decompressobj().decompress(p) for p in packed
        ), name
