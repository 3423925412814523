"""What became of every field of a pipeline.config: the account that nothing was dropped in silence.

Owns the outcomes and the settings found. Refuses a field or a setting that is accounted for twice: that is a
fault of this program.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from detector.training.pipeline_config.config_tree import Node


class Outcome(Enum):
    """What became of a field; the value says it to people."""

    CONVERTED = "converted"
    NEAREST = "converted to the nearest"
    SAME = "the same here"
    IDLE = "nothing to do"
    NONE = "no counterpart"


@dataclass(frozen=True)
class Entry:
    """One field's end: its path, line and value, the key it became (or none), and why or what to do.

    A remark is no field's end: it says that the kind of a message decided a key.
    """

    outcome: Outcome
    path: str
    line: int
    value: str
    key: str
    text: str
    is_remark: bool = False


@dataclass(frozen=True)
class Setting:
    """A value of ours, and where it comes from."""

    value: Any
    why: str


class Ledger:
    """Settings by key, an entry for each field, and what was assumed where the config doesn't say."""

    def __init__(self) -> None:
        self.settings: dict[str, Setting] = {}
        self.entries: list[Entry] = []
        self.assumptions: list[str] = []
        self._closed: set[int] = set()

    def convert(
        self,
        key: str,
        value: Any,  # noqa: ANN401 (any setting)
        *nodes: Node | None,
        why: str = "",
        nearest: str = "",
        origin: Node | None = None,
    ) -> None:
        """Set ``key``; the nodes that are there became it, ``nearest`` says how it differs.

        ``origin`` is a message whose kind alone was the reason; its fields stay open.
        """
        if key in self.settings:
            raise AssertionError(f"{key} is set twice")
        given = [node for node in nodes if node]
        if origin and not given and not origin.children and not self.is_closed(origin):
            given = [origin]
        text = "; ".join(part for part in (why, nearest) if part)
        sources = given or ([origin] if origin else [])
        self.settings[key] = Setting(value, ": ".join(filter(None, (_name_sources(sources), text))))
        outcome = Outcome.NEAREST if nearest else Outcome.CONVERTED
        for node in given:
            self.close(outcome, node, text, key)
        if origin and not given:
            self.entries.append(
                Entry(outcome, origin.path, origin.line, origin.name, key, text, is_remark=True)
            )

    def same(self, node: Node | None, why: str) -> None:
        """Note that a field says what is done here anyway."""
        self.close(Outcome.SAME, node, why)

    def idle(self, node: Node | None, why: str) -> None:
        """Note that a field has no counterpart and needs none."""
        self.close(Outcome.IDLE, node, why)

    def refuse(self, node: Node | None, advice: str) -> None:
        """Note that a field has no counterpart, and what to do."""
        self.close(Outcome.NONE, node, advice)

    def close(self, outcome: Outcome, node: Node | None, text: str, key: str = "") -> None:
        """Write the entry of a node, if it is there, with all that is open below it."""
        if node is None:
            return
        leaves = [leaf for leaf in node.leaves() if not self.is_closed(leaf)]
        if not leaves:
            raise AssertionError(f"{node.path} is accounted for twice")
        for shown in [node] if len(leaves) == len(list(node.leaves())) else leaves:
            self.entries.append(Entry(outcome, shown.path, shown.line, describe_node(shown), key, text))
        self._closed.update(id(leaf) for leaf in leaves)

    def is_closed(self, leaf: Node) -> bool:
        """Tell whether a leaf has its entry."""
        return id(leaf) in self._closed

    def list_entries(self, *outcomes: Outcome) -> Iterator[Entry]:
        """List the entries of these outcomes, by line."""
        yield from sorted((e for e in self.entries if e.outcome in outcomes), key=lambda e: (e.line, e.path))


def describe_node(node: Node) -> str:
    """Write a node's value on one line, as the text format does."""
    if isinstance(node.value, bool):
        return str(node.value).lower()
    if node.value is not None:
        return str(node.value)
    return "{" + " ".join(f"{child.name}: {describe_node(child)}" for child in node.children) + "}"


def _name_sources(nodes: Sequence[Node]) -> str:
    # The values of one list are named once.
    lines: dict[str, list[str]] = {}
    for node in nodes:
        lines.setdefault(node.path.removesuffix("]").rstrip("0123456789").removesuffix("["), []).append(
            str(node.line)
        )
    return ", ".join(f"{path} (line {', '.join(dict.fromkeys(own))})" for path, own in lines.items())
