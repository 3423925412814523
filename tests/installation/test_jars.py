"""The lock file, and jars that come from a repository, a cache, or are there."""

import hashlib
import http.server
import threading
from functools import partial
from importlib.metadata import version
from pathlib import Path

import pytest

from detector.errors import InstallationError
from detector.installation import jars as jars_module
from detector.installation.jars import LOCK_PATH, LockedJar, find_spark_jars, install_jars, read_lock

CONTENT = b"bytes of a jar"
JAR = LockedJar(hashlib.sha256(CONTENT).hexdigest(), "io.delta", "delta-test", "1.0")
NOWHERE = "http://127.0.0.1:9/maven2"


@pytest.fixture
def repository(tmp_path):
    """Serve a folder on the loopback as a Maven repository with one jar; give its address and the folder."""
    folder = tmp_path / "repository"
    file = Path(JAR.url(str(folder)))
    file.parent.mkdir(parents=True)
    file.write_bytes(CONTENT)
    handler = partial(http.server.SimpleHTTPRequestHandler, directory=folder)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", file
        server.shutdown()


@pytest.fixture
def folders(tmp_path, monkeypatch):
    """Give the class path's folder and the cache, and let no failed download wait."""
    monkeypatch.setattr(jars_module, "_TRY_AGAIN_AFTER_S", (0, 0))
    classes = tmp_path / "classes"
    classes.mkdir()
    return classes, tmp_path / "cache"


def test_lock_reads_sums_and_coordinates(tmp_path):
    """Comments and blank lines are passed over."""
    lock = tmp_path / "lock"
    lock.write_text(f"# why\n\n{JAR.sha256}  io.delta:delta-test:1.0\n")
    assert read_lock(lock) == [JAR]


@pytest.mark.parametrize(
    "line", ["io.delta:delta-test:1.0", "abc  io.delta:delta-test:1.0", f"{'0' * 64}  delta-test"]
)
def test_lock_refuses_another_form_by_its_line(tmp_path, line):
    """A line without a whole sum or all coordinates is named."""
    lock = tmp_path / "lock"
    lock.write_text(f"# why\n{line}\n")
    with pytest.raises(InstallationError, match=r"lock:2: .*correct the line"):
        read_lock(lock)


def test_lock_fits_the_installed_packages():
    """The jars are those of the delta-spark and pyspark that uv.lock installs."""
    spark = ".".join(version("pyspark").split(".")[:2])
    locked = {(jar.artifact, jar.version) for jar in read_lock(LOCK_PATH)}
    assert (f"delta-spark_{spark}_2.13", version("delta-spark")) in locked


def test_set_up_put_the_locked_jars_into_this_environment():
    """What spark-submit finds is what the lock file says, and nothing is left to fetch."""
    jars = read_lock(LOCK_PATH)
    assert install_jars(jars, find_spark_jars(), cache=Path("unused"), repository=NOWHERE) == []


def test_jar_comes_from_the_repository(folders, repository):
    """A jar that is nowhere yet is fetched, kept, and put on the class path."""
    classes, cache = folders
    assert install_jars([JAR], classes, cache=cache, repository=repository[0]) == [JAR]
    assert (
        (classes / "delta-test-1.0.jar").read_bytes()
        == (cache / "delta-test-1.0.jar").read_bytes()
        == CONTENT
    )


def test_second_time_nothing_is_done(folders, repository):
    """A jar in place needs neither network nor cache."""
    classes, cache = folders
    install_jars([JAR], classes, cache=cache, repository=repository[0])
    (cache / JAR.file_name).unlink()
    assert install_jars([JAR], classes, cache=cache, repository=NOWHERE) == []


def test_cached_jar_needs_no_network(folders):
    """A jar put into the cache by hand is used."""
    classes, cache = folders
    cache.mkdir()
    (cache / JAR.file_name).write_bytes(CONTENT)
    assert install_jars([JAR], classes, cache=cache, repository=NOWHERE) == [JAR]


def test_damaged_jars_are_replaced(folders, repository):
    """Half a jar, in place or in the cache, is never taken for a whole one."""
    classes, cache = folders
    cache.mkdir()
    for folder in folders:
        (folder / JAR.file_name).write_bytes(CONTENT[:5])
    install_jars([JAR], classes, cache=cache, repository=repository[0])
    assert (classes / JAR.file_name).read_bytes() == CONTENT


def test_other_versions_leave_the_class_path(folders, repository):
    """Two Deltas on one class path break Spark; what isn't Delta's stays."""
    classes, cache = folders
    for name in ("delta-test-0.9.jar", "spark-core.jar"):
        (classes / name).touch()
    install_jars([JAR], classes, cache=cache, repository=repository[0])
    assert sorted(path.name for path in classes.iterdir()) == ["delta-test-1.0.jar", "spark-core.jar"]


def test_wrong_bytes_are_refused_and_not_kept(folders, repository):
    """A file with another sum reaches neither cache nor class path."""
    classes, cache = folders
    repository[1].write_bytes(b"a proxy's login page")
    with pytest.raises(InstallationError, match=r"not the locked .*MAVEN_REPOSITORY"):
        install_jars([JAR], classes, cache=cache, repository=repository[0])
    assert not list(classes.iterdir())
    assert not cache.exists()


@pytest.mark.parametrize("where", ["nowhere", "elsewhere"])
def test_failure_says_what_where_and_what_to_do(folders, repository, where):
    """No server and no such file: the address, and the place to put the file by hand."""
    classes, cache = folders
    address = NOWHERE if where == "nowhere" else repository[0] + "/elsewhere"
    with pytest.raises(InstallationError) as raised:
        install_jars([JAR], classes, cache=cache, repository=address)
    assert JAR.url(address) in str(raised.value)
    assert f"put that file at {cache / JAR.file_name} by hand" in str(raised.value)


def test_download_is_tried_again(folders, monkeypatch):
    """A connection that breaks once doesn't stop set-up."""
    classes, cache = folders
    answers = [ConnectionResetError("reset"), CONTENT]

    def read_url(url):
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(jars_module, "_read_url", read_url)
    assert install_jars([JAR], classes, cache=cache, repository=NOWHERE) == [JAR]
