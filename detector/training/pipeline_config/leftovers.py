"""Fields that became no setting: why nothing needs doing, or what to do.

Owns the reading of ``leftovers.toml`` and the sweep at the end, after which every field of a config has its
entry: a field that stands nowhere in the table ends as one without counterpart, never in silence.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from detector.training.pipeline_config.config_tree import Node
from detector.training.pipeline_config.ledger import Ledger, Outcome, describe_node


@dataclass(frozen=True)
class Advice:
    """What to say of a field; ``same`` is the value that is done here anyway, None where there is none."""

    outcome: Outcome
    text: str
    same: str | None = None
    why: str = ""


_UNKNOWN = Advice(Outcome.NONE, "no key for it: look whether the training depends on it")


def sweep(root: Node, ledger: Ledger) -> None:
    """Close every field of a config that is still open."""
    for child in root.children:
        _sweep(child, _UNKNOWN, ledger)


@cache
def read_advice() -> Mapping[tuple[str, str], Advice]:
    """Read the table: (message, field) to what to say of it."""
    text = files("detector.training.pipeline_config").joinpath("leftovers.toml").read_text(encoding="utf-8")
    content = tomllib.loads(text)
    found = {
        (message, name): Advice(outcome, why)
        for word, outcome in (("idle", Outcome.IDLE), ("none", Outcome.NONE))
        for message, fields in content[word].items()
        for name, why in fields.items()
    }
    for message, fields in content["same"].items():
        for name, given in fields.items():
            other = found.get((message, name))
            text = given.get("none") or (other.text if other else _UNKNOWN.text)
            found[message, name] = Advice(Outcome.NONE, text, given["value"], given["why"])
    return found


def _sweep(node: Node, inherited: Advice, ledger: Ledger) -> None:
    advice = read_advice().get((node.owner, node.name), inherited)
    leaves = list(node.leaves())
    still_open = [leaf for leaf in leaves if not ledger.is_closed(leaf)]
    if not still_open:
        return
    if len(still_open) == len(leaves) and not _has_own_advice(node):
        _close(node, advice, ledger)
        return
    for child in node.children:
        _sweep(child, advice, ledger)


def _has_own_advice(node: Node) -> bool:
    """Tell whether something below a node is better told apart."""
    return any((c.owner, c.name) in read_advice() or _has_own_advice(c) for c in node.children)


def _close(node: Node, advice: Advice, ledger: Ledger) -> None:
    if advice.same is not None and describe_node(node) == advice.same:
        ledger.close(Outcome.SAME, node, advice.why)
    else:
        ledger.close(advice.outcome, node, advice.text)
