"""Commits that meet another run's: which errors mean that, and the action done again.

Owns how often and how long. Refuses nothing: what is no conflict is raised as it is.
"""

import random
import time
from collections.abc import Callable
from typing import TypeVar

from delta import exceptions as delta_errors
from pyspark.errors import StreamingQueryException

_TRIES = 12
_CONFLICTS = (
    delta_errors.ConcurrentAppendException,
    delta_errors.ConcurrentDeleteDeleteException,
    delta_errors.ConcurrentDeleteReadException,
    delta_errors.ConcurrentTransactionException,
    delta_errors.ConcurrentWriteException,
    delta_errors.DeltaConcurrentModificationException,
    delta_errors.MetadataChangedException,
    delta_errors.ProtocolChangedException,
)
Result = TypeVar("Result")


def retry_on_conflict(action: Callable[[], Result]) -> Result:
    """Do ``action``, which may be done twice, again while another writer of the same table is quicker."""
    for attempt in range(_TRIES):
        try:
            return action()
        except (*_CONFLICTS, StreamingQueryException) as error:
            if attempt + 1 == _TRIES or not _is_concurrent(error):
                raise
            time.sleep(random.uniform(0.2, 1.0) * min(8, 2**attempt))  # noqa: S311 (no secret)
    raise AssertionError("unreachable")


def _is_concurrent(error: Exception) -> bool:
    # A stream wraps what stopped it; only its text still says that it was another publisher.
    if not isinstance(error, StreamingQueryException):
        return True
    return any(word in str(error) for word in ("oncurrent", "CONCURRENT", "FileAlreadyExists"))
