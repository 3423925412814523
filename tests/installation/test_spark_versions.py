"""Sessions that won't do, made up: too old, of Spark Connect, without Delta. Each is refused with what to do."""

from types import SimpleNamespace
from unittest.mock import Mock

import pytest
from pyspark.sql import SparkSession

from detector.errors import InstallationError
from detector.installation.spark_versions import check_delta, check_spark
from detector.session import open_session, require_usable


def make_session(spark="4.1.4", delta="4.4.0"):
    """Give what looks like a session of these versions; None for delta: its class isn't there."""
    session = Mock(spec=SparkSession, version=spark)
    found = {} if delta is None else {"package": SimpleNamespace(VERSION=lambda: delta)}
    session.sparkContext = SimpleNamespace(
        _jvm=SimpleNamespace(io=SimpleNamespace(delta=SimpleNamespace(**found)))
    )
    return session


@pytest.mark.parametrize("spark", ["4.0.0", "4.1.4", "4.2.0-SNAPSHOT", "5.0.0"])
def test_these_will_do(spark):
    """Spark 4, whatever follows the number; on Databricks whatever Delta the runtime has."""
    require_usable(make_session(spark))
    require_usable(make_session(spark, delta=None), "17.3")


@pytest.mark.parametrize(
    ("session", "runtime", "says"),
    [
        (make_session("3.5.6"), None, "this is Spark 3.5.6, and 4.0 or newer is needed"),
        (
            make_session("3.5.2"),
            "16.4",
            "Databricks Runtime 16.4 has Spark 3.5.2.*Databricks Runtime 17.0 or newer",
        ),
        (make_session("unknown"), None, "this is Spark unknown"),
        (make_session(delta="3.2.1"), None, "Spark 4.1.4 has Delta 3.2.1.*delta-spark_4.1_2.13"),
        (make_session(delta=None), None, "no Delta jars on its class path"),
        (SimpleNamespace(version="4.1.4"), "17.3", "Spark Connect.*SINGLE_USER"),
    ],
)
def test_these_are_refused(session, runtime, says):
    """The message has the version found and the way out."""
    with pytest.raises(InstallationError, match=says):
        require_usable(session, runtime)


def test_the_runtime_s_own_session_is_taken_and_checked(monkeypatch):
    """On Databricks nothing is configured or started: the running session is given as it is, or refused."""
    monkeypatch.setenv("DATABRICKS_RUNTIME_VERSION", "17.3")
    running = make_session("4.0.0", delta=None)
    monkeypatch.setattr(SparkSession, "getActiveSession", staticmethod(lambda: running))
    assert open_session("test", conf={"spark.anything": "else"}) is running
    running.version = "3.5.2"
    with pytest.raises(InstallationError, match=r"Databricks Runtime 17\.3 has Spark 3\.5\.2"):
        open_session("test")


def test_versions_alone():
    """A minor version decides, not the text."""
    check_spark("4.10.0")
    check_delta("10.0.0", spark="5.0.0")
    with pytest.raises(InstallationError):
        check_delta("3.10.0", spark="4.0.0")
