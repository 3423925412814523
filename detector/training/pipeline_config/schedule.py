"""The learning rate's schedule of a pipeline.config: steps as epochs, decays as tenths.

Owns the arithmetic of the API's ``utils/learning_schedules.py`` in reverse. A rate that falls otherwise than
by a cosine falls here to a tenth at the epochs where the old one had fallen nearer to that tenth than to the
one before.
"""

import math
from collections.abc import Sequence

from detector.training.pipeline_config.config_tree import Node
from detector.training.pipeline_config.epochs import Epochs
from detector.training.pipeline_config.ledger import Ledger

_MOST_TENTHS = 8  # below that a rate is nothing
_TOLERANCE = 0.01  # of a decade


def convert_rate(rate: Node | None, epochs: Epochs, ledger: Ledger) -> None:
    """Convert the ``learning_rate`` of an optimizer."""
    chosen = rate.only() if rate else None
    if chosen is None:
        ledger.assumptions.append("fit.learning_rate is this project's: the config's optimizer has none")
        return
    {
        "constant_learning_rate": _convert_constant,
        "cosine_decay_learning_rate": _convert_cosine,
        "exponential_decay_learning_rate": _convert_exponential,
        "manual_step_learning_rate": _convert_manual,
    }[chosen.name](chosen, epochs, ledger)


def _convert_constant(rate: Node, _: Epochs, ledger: Ledger) -> None:
    _set_rate(rate, "learning_rate", ledger)
    ledger.convert("fit.schedule", "constant", origin=rate)
    _set_warmup(0, (), "the config has none", "", ledger)


def _convert_cosine(rate: Node, epochs: Epochs, ledger: Ledger) -> None:
    _set_rate(rate, "learning_rate_base", ledger)
    ledger.convert("fit.schedule", "cosine", origin=rate)
    total, hold = rate.find("total_steps"), rate.find("hold_base_rate_steps")
    if rate.get("total_steps") == epochs.steps:
        ledger.same(total, "the cosine ends with the training")
    else:
        ledger.refuse(
            total, "the cosine ends with the training here: set fit.epochs to it if it should be longer"
        )
    if rate.get("hold_base_rate_steps"):
        ledger.refuse(hold, "the rate falls from the end of the warm-up on")
    else:
        ledger.same(hold, "the rate falls from the end of the warm-up on")
    steps, start = rate.number("warmup_steps"), rate.number("warmup_learning_rate")
    change = f"from 0 instead of {start:g}" if steps and start else ""
    nodes = rate.find("warmup_steps"), rate.find("warmup_learning_rate")
    _set_warmup(epochs.convert(steps), nodes, f"{steps:,.0f} steps", change, ledger)


def _convert_exponential(rate: Node, epochs: Epochs, ledger: Ledger) -> None:
    _set_rate(rate, "initial_learning_rate", ledger)
    _set_burn_in(rate, epochs, ledger)
    ledger.refuse(rate.find("min_learning_rate"), "no lower end of the rate here: see fit.decay_epochs")
    factor, every = rate.number("decay_factor"), max(1.0, rate.number("decay_steps"))
    nodes = tuple(rate.find(name) for name in ("decay_steps", "decay_factor", "staircase"))
    if not 0 < factor <= 1:
        _set_steps((), nodes, epochs, "a factor above 0 and up to 1 was expected", rate, ledger)
        return
    falls = math.log10(1 / factor) / every  # tenths a step
    count = min(_MOST_TENTHS, math.floor(epochs.steps * falls + 0.5))
    steps = [(number - 0.5) / falls for number in range(1, count + 1)]
    left = factor ** (epochs.steps // every if rate.get("staircase") else epochs.steps / every)
    # A step of the staircase that the training doesn't reach changes nothing.
    change = "" if left == 1 else f"at the end the old rate is {left:.3g} of the first, here {0.1**count:g}"
    _set_steps(steps, nodes, epochs, change, rate, ledger)


def _set_burn_in(rate: Node, epochs: Epochs, ledger: Ledger) -> None:
    burn_in = rate.find("burnin_steps"), rate.find("burnin_learning_rate")
    steps, start = rate.number("burnin_steps"), rate.number("burnin_learning_rate")
    change = f"rising from 0 instead of staying at {start:g}" if steps else ""
    _set_warmup(epochs.convert(steps), burn_in, "the config has none", change, ledger)


def _convert_manual(rate: Node, epochs: Epochs, ledger: Ledger) -> None:
    given = [(node.number("step"), node.number("learning_rate"), node) for node in rate.find_all("schedule")]
    first = [node for step, _, node in given if step == 0]
    initial, own = rate.number("initial_learning_rate"), rate.find("initial_learning_rate")
    if first:
        initial = first[-1].number("learning_rate")
    falls = [(step, value, node) for step, value, node in given if step > 0]
    warmup = rate.find("warmup")
    highest = falls[0][1] if falls and rate.get("warmup") else initial
    ledger.convert("fit.learning_rate", highest, own, *first)
    if rate.get("warmup") and falls:
        step, _, node = falls.pop(0)
        change = f"from 0 instead of {initial:g}" if initial else ""
        _set_warmup(epochs.convert(step), (warmup, node), "", change, ledger)
    else:
        _set_warmup(0, (warmup,), "the config has none", "", ledger)
    late = [node for step, _, node in falls if step >= epochs.steps]
    for node in late:
        ledger.idle(node, f"the training ends before, at step {epochs.steps:,}")
    _set_falls([fall for fall in falls if fall[2] not in late], highest, rate, epochs, ledger)


def _set_falls(
    falls: Sequence[tuple[float, float, Node]], highest: float, rate: Node, epochs: Epochs, ledger: Ledger
) -> None:
    steps: list[float] = []
    exact = True
    for step, value, _ in falls:
        tenths = math.log10(highest / value) if value > 0 and highest > 0 else float(_MOST_TENTHS)
        exact &= abs(tenths - round(tenths)) <= _TOLERANCE and round(tenths) >= len(steps)
        steps += [step] * (min(_MOST_TENTHS, round(tenths)) - len(steps))
    change = "" if exact else "the rate falls to a tenth only, where the old one was nearest to that"
    nodes = tuple(node for *_, node in falls)
    _set_steps(steps, nodes, epochs, change, rate, ledger)


def _set_rate(rate: Node, name: str, ledger: Ledger) -> None:
    node = rate.find(name)
    ledger.convert("fit.learning_rate", rate.number(name), node, why="" if node else "the API's default")


def _set_steps(
    steps: Sequence[float],
    nodes: Sequence[Node | None],
    epochs: Epochs,
    change: str,
    origin: Node,
    ledger: Ledger,
) -> None:
    if not steps:
        why = "no fall before the end"
        ledger.convert("fit.schedule", "constant", *nodes, why=why, nearest=change, origin=origin)
        return
    ledger.convert("fit.schedule", "step", origin=origin)
    decays = [max(0.001, epochs.convert(step)) for step in steps]
    ledger.convert("fit.decay_epochs", decays, *nodes, nearest=change)


def _set_warmup(epochs: float, nodes: Sequence[Node | None], why: str, change: str, ledger: Ledger) -> None:
    ledger.convert("fit.warmup_epochs", epochs, *nodes, why=why, nearest=change)
