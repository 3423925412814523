"""S3 through its own protocol: a server in this process, reached by the options of the given path."""

from datetime import UTC, datetime, timedelta

import boto3
import pytest
from moto.server import ThreadedMotoServer

from detector.errors import EmptyMediaError, MediaChangedError, MediaNotFoundError, SettingsError
from detector.media.filesystem import FileAccess, build_access, read_content
from detector.media.listing import list_media, stat_media
from detector.settings import MediaSettings

NOW = datetime.now(UTC) + timedelta(days=1)
KEYS = (
    "photos/a.jpg", "photos/b c%20.jpg", "photos/d/e.jpg", "photos/d/notes.txt", "photos/.h/i.jpg",
    "photos/[1]/j.jpg", "photos/q?x=1.jpg", "tables/part.jpg",
)  # fmt: skip


@pytest.fixture(scope="module")
def options():
    """Serve a bucket with KEYS on the loopback; give the query that reaches it."""
    server = ThreadedMotoServer("127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    client = boto3.client(
        "s3",
        endpoint_url=f"http://{host}:{port}",
        region_name="us-east-1",
        aws_access_key_id="id",
        aws_secret_access_key="hush",
    )
    client.create_bucket(Bucket="bucket")
    for key in KEYS:
        client.put_object(Bucket="bucket", Key=key, Body=b"bytes")
    client.put_object(Bucket="bucket", Key="photos/empty.jpg", Body=b"")
    yield f"?endpoint_override={host}:{port}&scheme=http&region=us-east-1"
    server.stop()


def give(path: str, options: str) -> str:
    """Write a path in the bucket with credentials and options, as a user would."""
    return f"s3://id:hush@bucket{path}{options}"


def list_reasons(path: str, options: str, *, pruned=(), **settings) -> dict[str, str | None]:
    """List one path in the bucket: the reason of each key."""
    table = list_media(MediaSettings(paths=[give(path, options)], **settings), now=NOW, pruned=pruned)
    keys = [uri.removeprefix("s3://bucket/") for uri in table["media_uri"].to_pylist()]
    return dict(zip(keys, table["skip_reason"].to_pylist(), strict=True))


def read(key: str, options: str, size_bytes=None) -> bytes:
    """Read one key of the bucket by its media_uri."""
    access = build_access([give("/photos", options)])
    return read_content(
        f"s3://bucket/{key}", size_bytes=size_bytes, modified_at=None, access=access, follow_symlinks=False
    )


def test_a_bucket_is_listed_by_the_same_rules(options):
    """Every key is one row, without options or credentials in its name."""
    reasons = list_reasons("", options, pruned=["s3://bucket/tables"])
    assert reasons == {
        "photos/.h/i.jpg": "hidden",
        "photos/[1]/j.jpg": None,
        "photos/a.jpg": None,
        "photos/b c%20.jpg": None,
        "photos/d/e.jpg": None,
        "photos/d/notes.txt": "not_included",
        "photos/empty.jpg": None,
        "photos/q?x=1.jpg": None,
    }


@pytest.mark.parametrize(
    ("path", "keys"),
    [
        ("/photos/?.jpg", {"photos/a.jpg"}),
        ("/*/d/*.jpg", {"photos/d/e.jpg"}),
        ("/**/e.jpg", {"photos/d/e.jpg"}),
        ("/photos/d*", {"photos/d/e.jpg", "photos/d/notes.txt"}),
        ("/photos/[1]", {"photos/[1]/j.jpg"}),
        ("/photos/[1]/*", {"photos/[1]/j.jpg"}),
        ("/photos/a.jpg", {"photos/a.jpg"}),
    ],
)
def test_globs_and_single_keys(options, path, keys):
    """Globs work in keys; a key that exists literally wins."""
    assert set(list_reasons(path, options)) == keys


def test_only_the_folder_itself(options):
    """Without recursive the prefixes below are left alone."""
    keys = set(list_reasons("/photos", options, recursive=False))
    assert keys == {"photos/a.jpg", "photos/b c%20.jpg", "photos/empty.jpg", "photos/q?x=1.jpg"}


def test_ages_count(options):
    """A key younger than media.min_age_s waits."""
    assert list_reasons("/photos/a.jpg", options, min_age_s=7 * 86_400) == {"photos/a.jpg": "too_young"}


@pytest.mark.parametrize("path", ["/absent", "/photos/*.gif", "/**/absent.jpg"])
def test_paths_that_give_nothing_are_refused(options, path):
    """The message names setting and path, not the credentials."""
    with pytest.raises(SettingsError, match=r"media\.paths: s3://bucket/") as caught:
        list_reasons(path, options)
    assert "hush" not in str(caught.value)


@pytest.mark.parametrize("key", ["photos/a.jpg", "photos/b c%20.jpg", "photos/q?x=1.jpg", "photos/[1]/j.jpg"])
def test_every_listed_name_can_be_read(options, key):
    """Blanks, percent signs, question marks and brackets in keys need no encoding."""
    assert read(key, options, size_bytes=5) == b"bytes"


def test_reading_tells_what_is_wrong(options):
    """Changed, empty and missing keys raise their own errors."""
    with pytest.raises(MediaChangedError):
        read("photos/a.jpg", options, size_bytes=6)
    with pytest.raises(EmptyMediaError):
        read("photos/empty.jpg", options)
    with pytest.raises(MediaNotFoundError):
        read("photos/gone.jpg", options)


def test_manifest_and_listing_agree(options):
    """A key has the same size and time in a listing and when it's looked up by itself; a missing one has none."""
    settings = MediaSettings(paths=[give("/photos/d", options)], include=[])
    listed = list_media(settings, now=NOW)
    uris = listed["media_uri"].to_pylist()
    looked_up = stat_media([*uris, "s3://bucket/gone.jpg"], settings, build_access(settings.paths))
    assert looked_up.slice(0, len(uris)) == listed
    assert looked_up.slice(len(uris)).to_pylist()[0]["size_bytes"] is None


def test_unreachable_manifest_files_keep_their_rows():
    """A filesystem that can't be opened leaves rows to be scored, and so to be reported."""
    table = stat_media(["gopher://host/a.jpg"], MediaSettings(), FileAccess())
    assert table.to_pylist()[0]["skip_reason"] is None
