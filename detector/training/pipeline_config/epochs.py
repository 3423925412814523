"""Steps of a pipeline.config as epochs: how many pictures one step takes, and how many there are.

Owns the count of the training pictures and the length of training. Refuses nothing: where the count isn't
known, what is assumed is told.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from detector.annotations.tfrecord_files import TFRecordError, read_records
from detector.training.pipeline_config.config_tree import Node
from detector.training.pipeline_config.ledger import Ledger
from detector.training.train_settings import FitSettings

ASSUMED_EXAMPLES = 1000
_DEFAULT_EPOCHS: int = FitSettings.model_fields["epochs"].default


@dataclass(frozen=True)
class Epochs:
    """How long training is, in both counts."""

    steps: int
    steps_per_epoch: float

    def convert(self, steps: float) -> float:
        """Give steps as epochs, to a thousandth."""
        return round(steps / self.steps_per_epoch, 3)


def count_examples(records: Sequence[Path]) -> tuple[int, str] | None:
    """Count the pictures in TFRecord files, and say where; None where there is no file or one is damaged."""
    try:
        count = sum(1 for record in records for _ in read_records(record))
    except (TFRecordError, OSError):
        return None
    return (count, f"counted in {', '.join(record.name for record in records[:3])}") if count else None


def convert_length(train: Node | None, examples: tuple[int, str] | None, ledger: Ledger) -> Epochs:
    """Convert batch size and steps; ``examples`` is the number of training pictures and who says so."""
    batch_node = train.find("batch_size") if train else None
    batch = int(train.number("batch_size")) if train else int(FitSettings.model_fields["batch_size"].default)
    why = "" if batch_node else "the API's default"
    ledger.convert("fit.batch_size", max(1, batch), batch_node, why=why if train else "not in the config")
    count, source = examples or (ASSUMED_EXAMPLES, "assumed")
    per_epoch = max(1.0, count / max(1, batch))
    steps, node, origin = _find_steps(train)
    if examples is None:
        ledger.assumptions.append(
            f"{ASSUMED_EXAMPLES:,} training pictures, to turn steps into epochs: neither --examples nor the "
            "training records say how many; run again with --examples N"
        )
    if not steps:
        text = f"trains until it is stopped: fit.epochs stays {_DEFAULT_EPOCHS}, choose it"
        ledger.refuse(node, text)
        ledger.assumptions.append(f"num_steps is not in the config, which {text}")
        return Epochs(round(_DEFAULT_EPOCHS * per_epoch), per_epoch)
    note = f"{steps:,} steps of {batch} pictures, {count:,} pictures an epoch ({source}){origin}"
    epochs = max(1, math.ceil(steps / per_epoch))
    claimed = node if node and node.name == "num_steps" and node.value else None
    ledger.convert("fit.epochs", epochs, claimed, why=note)
    if claimed is None:
        ledger.refuse(node, "trains until it is stopped: here as long as the schedule, see fit.epochs")
    return Epochs(steps, per_epoch)


def _find_steps(train: Node | None) -> tuple[int, Node | None, str]:
    node = train.find("num_steps") if train else None
    if node and node.value:
        return int(node.value), node, ""
    optimizer = train.find("optimizer") if train else None
    chosen = (
        optimizer.only("rms_prop_optimizer", "momentum_optimizer", "adam_optimizer") if optimizer else None
    )
    rate = chosen.find("learning_rate", "cosine_decay_learning_rate") if chosen else None
    if rate and rate.find("total_steps"):
        return int(rate.number("total_steps")), node, ", as long as the cosine"
    return 0, node, ""
