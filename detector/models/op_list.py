"""The operations that a model may hold, and why the others are refused.

Owns the reading of ``op_list.toml``, where each family of operations stands with its reason. Refuses by
default: an operation that isn't named there, new or from a custom library, is no detector's.
"""

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

_UNKNOWN = "it isn't one of the operations that detectors are known to need"


@dataclass(frozen=True)
class _Family:
    why: str
    ops: frozenset[str]
    prefixes: tuple[str, ...]
    suffixes: tuple[str, ...]

    def __contains__(self, op: str) -> bool:
        return op in self.ops or op.startswith(self.prefixes) or op.endswith(self.suffixes)


@cache
def list_allowed() -> frozenset[str]:
    """List the operations that every model may hold."""
    return frozenset(op for family in _read_families("allowed") for op in family.ops)


def explain_refusal(op: str) -> str:
    """Say why an operation that isn't allowed is refused.

    >>> explain_refusal("WriteFile")
    'it writes files'
    """
    return next((family.why for family in _read_families("refused") if op in family), _UNKNOWN)


@cache
def _read_families(part: str) -> tuple[_Family, ...]:
    content = tomllib.loads(files("detector.models").joinpath("op_list.toml").read_text(encoding="utf-8"))
    return tuple(
        _Family(
            family["why"],
            frozenset(family.get("ops", ())),
            tuple(family.get("prefixes", ())),
            tuple(family.get("suffixes", ())),
        )
        for family in content[part].values()
    )
