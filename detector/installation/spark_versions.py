"""Which Spark and Delta will do, whoever brings them: this environment, a cluster, Databricks.

Owns the oldest versions and what is said about older ones. Refuses by name, before anything is read or
written.
"""

import re

from detector.errors import InstallationError

OLDEST_SPARK = (4, 0)  # DataFrames to and from Arrow tables
OLDEST_DELTA = (4, 0)  # Spark 4's
OLDEST_RUNTIME = (17, 0)  # Databricks's first with Spark 4

_VERSION = re.compile(r"(\d+)\.(\d+)")


def parse_version(text: str) -> tuple[int, int] | None:
    """Read major and minor; None where the text begins with no version.

    >>> parse_version("4.1.4"), parse_version("17.3.x-gpu-ml-scala2.13"), parse_version("client.4")
    ((4, 1), (17, 3), None)
    """
    match = _VERSION.match(text)
    return None if match is None else (int(match.group(1)), int(match.group(2)))


def check_spark(version: str, *, runtime: str | None = None) -> None:
    """Raise ``InstallationError`` when Spark is too old; ``runtime`` is Databricks's version, if any.

    >>> check_spark("4.1.4")
    """
    found = parse_version(version)
    if found is not None and found >= OLDEST_SPARK:
        return
    if runtime is not None:
        raise InstallationError(
            f"Databricks Runtime {runtime} has Spark {version}, and this needs {_show(OLDEST_SPARK)}: "
            f"choose a cluster with Databricks Runtime {_show(OLDEST_RUNTIME)} or newer "
            "(spark_version of the bundle)"
        )
    raise InstallationError(
        f"this is Spark {version}, and {_show(OLDEST_SPARK)} or newer is needed: submit to a cluster of a "
        "newer Spark, or unset SPARK_HOME to use the one of this environment"
    )


def check_delta(version: str, *, spark: str) -> None:
    """Raise ``InstallationError`` when Delta's jars are too old for Spark 4.

    >>> check_delta("4.4.0", spark="4.1.4")
    """
    found = parse_version(version)
    if found is None or found < OLDEST_DELTA:
        raise InstallationError(
            f"Spark {spark} has Delta {version} on its class path, and {_show(OLDEST_DELTA)} or newer is "
            "needed: take the older jars away, and give spark-submit "
            "--packages io.delta:delta-spark_4.1_2.13:4.4.0"
        )


def _show(version: tuple[int, int]) -> str:
    return ".".join(map(str, version))
