"""Models as files that travel: digest, archive, the cache that processes share."""

import io
import os
import shutil
import subprocess
import sys
import tarfile
import time

import pytest
from pyarrow import fs

from detector.errors import ModelError
from detector.models.package import compute_digest, compute_size, fetch_model, pack_model, unpack_model
from detector.models.signature import locate_model


@pytest.fixture
def model(tmp_path):
    """Give a folder that looks like a SavedModel."""
    folder = tmp_path / "first"
    (folder / "variables").mkdir(parents=True)
    (folder / "saved_model.pb").write_bytes(b"graph")
    (folder / "variables" / "variables.index").write_bytes(b"index")
    return folder


def refuse():
    """Stand for an archive that must not be asked for."""
    raise AssertionError("the archive was read")


def pack_members(*members):
    """Build a tar of (name, type, link) members, as an attacker might."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as packed:
        for name, kind, link in members:
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, link
            packed.addfile(member, io.BytesIO())
    return archive.getvalue()


def test_digest_is_of_names_and_bytes_alone(model, tmp_path):
    """A copy under another name and time has the same digest and archive."""
    copy = tmp_path / "second"
    shutil.copytree(model, copy, copy_function=shutil.copyfile)
    os.utime(copy / "saved_model.pb", (0, 0))
    assert compute_digest(copy) == compute_digest(model)
    assert pack_model(copy) == pack_model(model)


@pytest.mark.parametrize("change", ["bytes", "name", "new"])
def test_digest_changes_with_any_file(model, change):
    """Other bytes, another name or one file more is another model."""
    before = compute_digest(model)
    if change == "bytes":
        (model / "variables" / "variables.index").write_bytes(b"indeX")
    elif change == "name":
        (model / "variables" / "variables.index").rename(model / "variables" / "other")
    else:
        (model / "assets").write_bytes(b"")
    assert compute_digest(model) != before


def test_frozen_graph_is_its_bytes(tmp_path):
    """The name of a frozen graph's file doesn't matter."""
    for name in ("a.pb", "b.pb"):
        (tmp_path / name).write_bytes(b"graph")
    assert compute_digest(tmp_path / "a.pb") == compute_digest(tmp_path / "b.pb")


def test_size_counts_all_files(model):
    """A model's size is the sum of its files."""
    assert compute_size(model) == len(b"graph") + len(b"index")


@pytest.mark.parametrize("by_path", [False, True])
def test_model_comes_out_as_it_went_in(model, tmp_path, by_path):
    """Archive and path fill the same cache, and the second call reads neither."""
    digest = compute_digest(model)
    found = unpack_model(str(model) if by_path else lambda: pack_model(model), digest, tmp_path)
    assert compute_digest(found) == digest
    assert unpack_model(refuse, digest, tmp_path) == found


def test_frozen_graph_comes_out_as_a_file(tmp_path):
    """A frozen graph stays one file."""
    (tmp_path / "graph.pb").write_bytes(b"graph")
    digest = compute_digest(tmp_path / "graph.pb")
    found = unpack_model(lambda: pack_model(tmp_path / "graph.pb"), digest, tmp_path)
    assert found.read_bytes() == b"graph"


def test_damaged_entry_is_replaced(model, tmp_path):
    """A cache entry whose bytes changed isn't used."""
    digest = compute_digest(model)
    found = unpack_model(str(model), digest, tmp_path)
    (found / "saved_model.pb").write_bytes(b"grapH")
    assert compute_digest(unpack_model(str(model), digest, tmp_path)) == digest


def test_another_model_is_refused(model, tmp_path):
    """A model that was replaced since the job started isn't scored with."""
    with pytest.raises(ModelError, match="replaced"):
        unpack_model(str(model), "0" * 64, tmp_path)
    assert not [p for p in tmp_path.glob("detector-models-*/*") if p.is_dir()]


@pytest.mark.parametrize(
    "member",
    [
        ("../outside", tarfile.REGTYPE, ""),
        ("/outside", tarfile.REGTYPE, ""),
        ("saved_model/link", tarfile.SYMTYPE, "/etc/passwd"),
        ("saved_model/hard", tarfile.LNKTYPE, "saved_model/x"),
    ],
)
def test_archive_with_odd_members_is_refused(tmp_path, member):
    """Nothing leaves the folder that is unpacked into, and no link enters it."""
    with pytest.raises(ModelError, match="refused"):
        unpack_model(lambda: pack_members(member), "0" * 64, tmp_path)


def test_damaged_archive_is_refused(tmp_path):
    """Bytes that are no tar are a model's error."""
    with pytest.raises(ModelError, match="damaged"):
        unpack_model(lambda: b"no tar", "0" * 64, tmp_path)


def test_cache_is_this_users_alone(model, tmp_path):
    """The cache folder is made private; one that others may write to is refused."""
    digest = compute_digest(model)
    unpack_model(str(model), digest, tmp_path)
    (cache,) = tmp_path.glob("detector-models-*")
    assert cache.stat().st_mode & 0o777 == 0o700
    cache.chmod(0o770)
    with pytest.raises(ModelError, match="nobody else"):
        unpack_model(str(model), digest, tmp_path)


def test_somebody_elses_cache_is_refused(model, tmp_path, monkeypatch):
    """A folder that another user put there first is refused, and so is a link."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (tmp_path / "detector-models-4711").mkdir(mode=0o700)
    (tmp_path / "detector-models-4712").symlink_to(elsewhere)
    for user in (4711, 4712):
        monkeypatch.setattr(os, "getuid", lambda user=user: user)
        with pytest.raises(ModelError, match="owns"):
            unpack_model(str(model), compute_digest(model), tmp_path)


def test_unused_entries_go_when_a_new_one_comes(model, tmp_path):
    """A week without use removes an entry, a use keeps it, and what a dead process left goes too."""
    digests = []
    for content in (b"one", b"two", b"three"):
        (model / "saved_model.pb").write_bytes(content)
        digests.append(compute_digest(model))
        (cache,) = {unpack_model(str(model), digests[-1], tmp_path).parent.parent}
        if content != b"three":
            long_ago = time.time() - 8 * 24 * 3600
            os.utime(cache / digests[-1], (long_ago, long_ago))
            (cache / ".unpacking-dead").mkdir(exist_ok=True)
        if content == b"one":
            unpack_model(refuse, digests[0], tmp_path)
    assert {path.name for path in cache.iterdir() if path.is_dir()} == {digests[0], digests[2]}


def test_processes_unpack_once_together(model, tmp_path):
    """Six processes at once: all get the model, one reads the archive, nothing is left over."""
    (model / "variables" / "big").write_bytes(os.urandom(4_000_000))
    (tmp_path / "model.tar").write_bytes(pack_model(model))
    code = """
import os, sys, time
from pathlib import Path
from detector.models.package import compute_digest, unpack_model
root, digest = Path(sys.argv[1]), sys.argv[2]
def read():
    (root / f"read-{os.getpid()}").touch()
    return (root / "model.tar").read_bytes()
(root / f"ready-{os.getpid()}").touch()
while not (root / "go").exists():
    time.sleep(0.001)
assert compute_digest(unpack_model(read, digest, root)) == digest
"""
    digest = compute_digest(model)
    processes = [subprocess.Popen([sys.executable, "-c", code, str(tmp_path), digest]) for _ in range(6)]
    while len(list(tmp_path.glob("ready-*"))) < len(processes):
        assert all(process.poll() is None for process in processes)
        time.sleep(0.01)
    (tmp_path / "go").touch()
    assert [process.wait(60) for process in processes] == [0] * 6
    assert len(list(tmp_path.glob("read-*"))) == 1
    left = [path.name for path in tmp_path.glob("detector-models-*/*") if path.name != ".lock"]
    assert left == [digest]


def test_local_uris_stay_where_they_are(model):
    """A local path or file URI isn't copied."""
    assert fetch_model(str(model)) == fetch_model(model.as_uri()) == model


@pytest.fixture(scope="module")
def bucket():
    """Start an S3 server of our own; give the URI of a bucket in it and the query that its URIs need."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    address = "{}:{}".format(*server.get_host_and_port())
    query = f"?endpoint_override={address}&scheme=http&region=us-east-1&allow_bucket_creation=true"
    filesystem, name = fs.FileSystem.from_uri(f"s3://key:secret@models{query}")
    filesystem.create_dir(name)
    yield "s3://key:secret@models", query
    server.stop()


@pytest.mark.parametrize("layout", ["saved_model.pb", "saved_model", "frozen_inference_graph.pb", "file"])
def test_remote_models_are_copied_without_the_rest(model, tmp_path, bucket, layout):
    """Of a remote folder only the model comes, under the folder's name."""
    export = tmp_path / layout / "export"
    if layout in {"saved_model.pb", "saved_model"}:
        shutil.copytree(model, export / "saved_model" if layout == "saved_model" else export)
    else:
        export.mkdir(parents=True)
        (export / ("my.pb" if layout == "file" else layout)).write_bytes(b"graph")
    digest = compute_digest(locate_model(export / "my.pb" if layout == "file" else export))
    if layout != "saved_model.pb":
        (export / "checkpoint").write_bytes(b"large")
    uri, query = bucket
    filesystem, root = fs.FileSystem.from_uri(f"{uri}/{layout}/export{query}")
    fs.copy_files(str(export), root, destination_filesystem=filesystem)
    found = fetch_model(f"{uri}/{layout}/export{'/my.pb' if layout == 'file' else ''}{query}")
    assert found.name == ("my.pb" if layout == "file" else "export")
    assert not (found / "checkpoint").exists()
    assert compute_digest(locate_model(found)) == digest


def test_workers_read_a_large_model_from_its_uri(model, tmp_path, bucket):
    """A model that isn't sent comes from object storage into the same cache."""
    uri, query = bucket
    filesystem, root = fs.FileSystem.from_uri(f"{uri}/large{query}")
    fs.copy_files(str(model), root, destination_filesystem=filesystem)
    digest = compute_digest(model)
    found = unpack_model(f"{uri}/large{query}", digest, tmp_path)
    assert compute_digest(found) == digest


def test_remote_folder_without_a_model_is_refused(bucket):
    """The message names the place and what was expected, and no key."""
    uri, query = bucket
    with pytest.raises(ModelError, match="s3://models/absent: found no model; expected"):
        fetch_model(f"{uri}/absent{query}")


def test_unreachable_uri_is_an_error_without_secrets():
    """The message names the place, not the key in the URI."""
    with pytest.raises(ModelError, match="nowhere://bucket/model") as caught:
        fetch_model("nowhere://key:secret@bucket/model?token=hidden")
    assert not any(word in str(caught.value) for word in ("secret", "hidden"))
