"""The Spark session: the running one where there is one, else a session with Delta configured.

Owns every Spark setting that the code itself needs. Refuses a session without Delta, of a Spark or Delta that
is too old, or of Spark Connect, by its name.
"""

import os
import sys
from collections.abc import Mapping

from pyspark import SparkConf, SparkContext
from pyspark.sql import SparkSession

from detector.errors import InstallationError
from detector.installation.java import find_java
from detector.installation.spark_versions import check_delta, check_spark

_RUNTIME = "DATABRICKS_RUNTIME_VERSION"
_LOCAL = "local[*,4]"  # four attempts a task: plain local[*] never tries one again
_DELTA = {
    "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
    "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
}
_WANTED = {
    "spark.sql.session.timeZone": "UTC",
    # Delta reads a table's log in this many tasks; its 50 cost more than they give on logs of this size.
    "spark.databricks.delta.snapshotPartitions": "4",
}
_WANTED_LOCALLY = {
    "spark.driver.host": "127.0.0.1",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.ui.enabled": "false",
    "spark.sql.shuffle.partitions": str(2 * (os.cpu_count() or 1)),
    # A vacuum lists the files of a table in this many tasks; Spark's default of 10,000 takes minutes.
    "spark.sql.sources.parallelPartitionDiscovery.parallelism": str(2 * (os.cpu_count() or 1)),
}


def open_session(
    app_name: str, *, master: str | None = None, conf: Mapping[str, str] | None = None
) -> SparkSession:
    """Give the running session (a notebook's, Databricks's), or start one for the settings given.

    ``conf`` wins over what spark-submit was given, that over this module's own wishes. Raises
    ``InstallationError`` when the session can't write Delta tables, is too old or of Spark Connect, or no
    Java can be found.
    """
    running = SparkSession.getActiveSession()
    if running is not None or _RUNTIME in os.environ:
        given = running or SparkSession.builder.appName(app_name).getOrCreate()
        require_usable(given, os.environ.get(_RUNTIME))
        return given
    _point_to_java_and_python()
    _stay_on_this_machine(master or dict(conf or {}).get("spark.master"))
    session = _start(app_name, master, dict(conf or {}))
    session.sparkContext.setLogLevel("ERROR")
    require_usable(session)
    return session


def require_usable(session: SparkSession, runtime: str | None = None) -> None:
    """Check a session's kind and versions; ``runtime`` is Databricks's, whose Delta goes with its Spark.

    Raises ``InstallationError`` that says what to do.
    """
    if not isinstance(session, SparkSession):  # Spark Connect has a class of its own, without a SparkContext
        raise InstallationError(
            "this is a Spark Connect session, which can't broadcast a model to executors: on Databricks "
            "choose the access mode 'dedicated' (data_security_mode: SINGLE_USER), not standard or "
            "serverless; elsewhere unset SPARK_REMOTE"
        )
    check_spark(session.version, runtime=runtime)
    if runtime is None:
        check_delta(_find_delta(session), spark=session.version)


def _point_to_java_and_python() -> None:
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    if "PYSPARK_GATEWAY_PORT" not in os.environ:  # else spark-submit has started a JVM already
        os.environ["JAVA_HOME"] = str(find_java().resolve().parent.parent)


def _stay_on_this_machine(master: str | None) -> None:
    # Else Spark asks a name service for the name of this machine's own address. A cluster needs the address.
    may_be_configured = {"SPARK_HOME", "SPARK_CONF_DIR"} & os.environ.keys()
    if master.startswith("local[") if master else not may_be_configured:
        os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")


def _start(app_name: str, master: str | None, conf: dict[str, str]) -> SparkSession:
    given = SparkConf(loadDefaults=False).setAll(list(conf.items()))
    SparkContext._ensure_initialized(conf=given)  # noqa: SLF001 (the JVM must run before it can be asked)
    submitted = SparkConf()  # what spark-submit, its properties file and spark-defaults.conf said
    master = master or conf.pop("spark.master", None) or submitted.get("spark.master", "local[*]")
    if master == "local[*]":
        master = _LOCAL
    wanted = _DELTA | _WANTED | (_WANTED_LOCALLY if str(master).startswith("local[") else {})
    builder = SparkSession.builder.appName(app_name).master(str(master))
    # Never Spark's own progress bar: it would write over this project's line.
    chosen = {key: value for key, value in wanted.items() if not submitted.contains(key)}
    for key, value in (chosen | conf | {"spark.ui.showConsoleProgress": "false"}).items():
        builder = builder.config(key, value)
    return builder.getOrCreate()


def _find_delta(session: SparkSession) -> str:
    try:
        delta = session.sparkContext._jvm.io.delta  # type: ignore[union-attr]  # noqa: SLF001 (only the JVM knows)
        return str(getattr(delta, "package").VERSION())  # noqa: B009 (a keyword of Java, no word of ours)
    except Exception as error:
        raise InstallationError(
            "this Spark has no Delta jars on its class path: run `make setup`, or give spark-submit "
            "--packages io.delta:delta-spark_4.1_2.13:4.4.0"
        ) from error
