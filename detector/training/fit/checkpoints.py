"""Checkpoints: everything that a run needs to go on, in one file, whole or not there.

Owns the file: arrays by position, and the run's state as JSON. Refuses a file of another network by its
shapes. Numbers only: nothing is unpickled.
"""

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detector.errors import TrainingError

Arrays = Sequence[NDArray[Any]]
_STATE = "state"


def write_checkpoint(path: Path, state: Mapping[str, Any], groups: Mapping[str, Arrays]) -> None:
    """Write named groups of arrays and a JSON-able state; an interrupted write leaves the old file."""
    named = {f"{group}/{number}": a for group, arrays in groups.items() for number, a in enumerate(arrays)}
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with temporary.open("wb") as file:
            np.savez(file, **{_STATE: np.array(json.dumps(state))}, **named)  # type: ignore[arg-type]
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def read_checkpoint(path: Path) -> tuple[dict[str, Any], dict[str, list[NDArray[Any]]]]:
    """Read what ``write_checkpoint`` wrote; raise ``TrainingError`` where the file is something else."""
    try:
        with np.load(path, allow_pickle=False) as found:
            state = json.loads(str(found[_STATE]))
            groups: dict[str, list[NDArray[Any]]] = {}
            for name in found.files:
                if name != _STATE:
                    groups.setdefault(name.partition("/")[0], []).append(found[name])
    except (OSError, ValueError, KeyError, EOFError) as error:
        raise TrainingError(f"{path} is no checkpoint of this project: move it away to begin anew") from error
    return state, groups


def assign_values(variables: Sequence[Any], values: Arrays, *, owner: str) -> None:
    """Give Keras's variables their values; raise ``TrainingError`` where number or shapes differ."""
    if len(variables) != len(values):
        raise TrainingError(f"{owner}: {len(values)} arrays for {len(variables)} variables: another network")
    for variable, value in zip(variables, values, strict=True):
        if tuple(variable.shape) != value.shape:
            raise TrainingError(f"{owner}: an array of {value.shape} for {variable.name} of {variable.shape}")
        variable.assign(value)


def read_values(variables: Sequence[Any]) -> list[NDArray[Any]]:
    """Give the values of Keras's variables as arrays."""
    return [variable.numpy() for variable in variables]
