"""Run a job of jobs/ as a task of Databricks: run.py JOB.py ARGUMENT...

Owns what a job's exit code becomes there: a task that leaves by SystemExit may count as failed, whatever the
code, so the job's ``main`` is called; 0 is a normal end, every other code an error that names it.
"""

import runpy
import sys
from collections.abc import Sequence


def run(job: str, arguments: Sequence[str]) -> None:
    """Call the job's main; raise ``RuntimeError`` that names its exit code when that isn't 0."""
    try:
        code = runpy.run_path(job, run_name="job")["main"](list(arguments))
    except SystemExit as left:  # --help, or a malformed flag
        code = left.code
    if code:
        raise RuntimeError(f"{job} left with exit code {code}; what was wrong is printed above")


if __name__ == "__main__":
    run(sys.argv[1], sys.argv[2:])
