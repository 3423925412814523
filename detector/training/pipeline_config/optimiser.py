"""Optimizer, averaging, clipping, decay and precision of a pipeline.config.

Owns the choice of the nearest optimizer of ours.
"""

from detector.training.pipeline_config.config_tree import Node
from detector.training.pipeline_config.epochs import Epochs
from detector.training.pipeline_config.ledger import Ledger
from detector.training.pipeline_config.schedule import convert_rate

_OURS = {"momentum_optimizer": "sgd", "rms_prop_optimizer": "sgd", "adam_optimizer": "adam"}
_MOMENTUM = 0.9  # of ours
_LARGE_EPSILON = 0.1
_TINY_EPSILON = 1e-6  # optimizers differ by less in what they do
_WANTED_AVERAGES = 10  # lengths of a running average that make it forget its beginning


def convert_optimiser(train: Node | None, model: Node | None, epochs: Epochs, ledger: Ledger) -> None:
    """Convert ``train_config``'s optimizer and what belongs to it."""
    optimizer = train.find("optimizer") if train else None
    chosen = optimizer.only(*_OURS) if optimizer else None
    if optimizer is None or chosen is None or chosen.name not in _OURS:
        ledger.assumptions.append(
            "fit.optimizer and fit.learning_rate are this project's: the config has none"
        )
    else:
        name = _convert_kind(chosen, ledger)
        convert_rate(chosen.find("learning_rate"), epochs, ledger)
        _convert_average(optimizer, ledger)
        _convert_decay(train, model, name, ledger)
    if train is not None:
        _convert_clipping(train, ledger)
        _convert_precision(train, ledger)
    _convert_batch_norm(model, epochs, ledger)


def _convert_kind(chosen: Node, ledger: Ledger) -> str:
    name = _OURS[chosen.name]
    if chosen.name == "rms_prop_optimizer":
        # With an epsilon that outweighs the squared gradients, RMSProp divides by a constant: SGD.
        epsilon = chosen.number("epsilon")
        name = "sgd" if epsilon >= _LARGE_EPSILON else "adam"
        nearest = f"there is no RMSProp; with epsilon {epsilon:g} it steps like {name}"
        given = chosen.find("epsilon"), chosen.find("decay")
        ledger.convert("fit.optimizer", name, *given, nearest=nearest, origin=chosen)
    else:
        nearest = "with Nesterov's momentum here" if name == "sgd" else ""
        ledger.convert("fit.optimizer", name, nearest=nearest, origin=chosen)
        _convert_epsilon(chosen, ledger)
    momentum = chosen.find("momentum_optimizer_value")
    if name == "sgd" and momentum and momentum.value == _MOMENTUM:
        ledger.same(momentum, "sgd has this momentum")
    else:
        ledger.refuse(momentum, f"sgd has momentum {_MOMENTUM:g}, adam its own")
    return name


def _convert_epsilon(adam: Node, ledger: Ledger) -> None:
    epsilon = adam.find("epsilon")
    if epsilon and adam.number("epsilon") <= _TINY_EPSILON:
        ledger.same(epsilon, "as tiny as here")
    else:
        ledger.refuse(epsilon, "Adam's own epsilon, 1e-7, is used")


def _convert_average(optimizer: Node, ledger: Ledger) -> None:
    used, decay = optimizer.find("use_moving_average"), optimizer.find("moving_average_decay")
    value = optimizer.number("moving_average_decay")
    if not optimizer.get("use_moving_average"):
        ledger.convert("fit.ema_decay", None, used)
        ledger.idle(decay, "the average was off")
    elif 0 < value < 1:
        why = "" if used else "the API averages unless told not to"
        ledger.convert("fit.ema_decay", value, used, decay, why=why)
    else:
        ledger.refuse(decay, "an average's decay is between 0 and 1: choose fit.ema_decay")
        ledger.refuse(used, "choose fit.ema_decay")


def convert_measured(evaluation: Node | None, ledger: Ledger) -> None:
    """Convert whether the average of the weights is measured: here it is, where there is one."""
    node = evaluation.find("use_moving_averages") if evaluation else None
    averaged = ledger.settings.get("fit.ema_decay")
    if node and averaged and bool(node.value) == (averaged.value is not None):
        ledger.same(node, "what is exported is measured: see fit.ema_decay")
    else:
        ledger.refuse(node, "what is exported is measured: an average if fit.ema_decay is set")


def _convert_clipping(train: Node, ledger: Ledger) -> None:
    node, norm = train.find("gradient_clipping_by_norm"), train.number("gradient_clipping_by_norm")
    nearest = "all gradients together, as the API's TF2 loop; TF1's clipped each variable's alone"
    why = "" if node else "the API's default, no clipping"
    clip_norm, change = (norm, nearest) if norm > 0 else (None, "")
    ledger.convert("fit.clip_norm", clip_norm, node, why=why, nearest=change)


def _convert_precision(train: Node, ledger: Ledger) -> None:
    node = train.find("use_bfloat16")
    name = "mixed_bfloat16" if train.get("use_bfloat16") else "float32"
    if node is not None:
        ledger.convert("fit.precision", name, node)


def _convert_decay(train: Node | None, model: Node | None, optimizer: str, ledger: Ledger) -> None:
    nodes = list(_find_deep(model, "l2_regularizer")) if model else []
    weights = [(node.find("weight"), node.number("weight")) for node in nodes]
    off = train.find("add_regularization_loss") if train else None
    if off is not None and not off.value:
        ledger.convert("fit.weight_decay", 0.0, off, why="no regularisation was added to the loss")
        for leaf, _ in weights:
            ledger.idle(leaf, "regularisation was off")
        return
    ledger.same(off, "weights decay by fit.weight_decay")
    first = max((value for _, value in weights), default=0.0)
    equal = [leaf for leaf, value in weights if value == first]
    change = "" if optimizer == "sgd" or not first else "has no effect with fit.optimizer adam; adamw decays"
    why = "" if weights else "the config has no L2 regulariser"
    ledger.convert("fit.weight_decay", first, *equal, why=why, nearest=change)
    for leaf, value in weights:
        if value != first:
            ledger.refuse(leaf, f"one decay for all weights here, {first:g}: fit.weight_decay")


def _convert_batch_norm(model: Node | None, epochs: Epochs, ledger: Ledger) -> None:
    nodes = (
        [n for kind in ("batch_norm", "sync_batch_norm") for n in _find_deep(model, kind)] if model else []
    )
    decays = [leaf for node in nodes if (leaf := node.find("decay"))]
    if not decays:
        return
    value = float(decays[0].value or 0)
    if not 0 < value < 1 or epochs.steps * (1 - value) < _WANTED_AVERAGES:
        for leaf in decays:
            ledger.refuse(leaf, "too slow for so few steps: statistics would be wrong at export, .9 is used")
        return
    same = [leaf for leaf in decays if leaf.value == value]
    ledger.convert("fit.batch_norm_momentum", value, *same, why="lower it where you train for fewer steps")
    for leaf in decays:
        if leaf not in same:
            ledger.refuse(leaf, f"one momentum for all layers here, {value:g}: fit.batch_norm_momentum")


def _find_deep(node: Node, name: str) -> list[Node]:
    found = [node] if node.name == name else []
    return found + [hit for child in node.children for hit in _find_deep(child, name)]
