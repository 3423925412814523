"""A TF Object Detection API pipeline.config as a settings file of jobs/train.py.

Owns the order of the conversion, its result, and what of it a terminal shows. Refuses fields that the API
doesn't have, values that can't be, and to write over a file.
"""

import argparse
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.text import Text

from detector.errors import SettingsError
from detector.training.pipeline_config.anchors import convert_anchors
from detector.training.pipeline_config.augmentation import convert_augmentation
from detector.training.pipeline_config.config_tree import Node, check_fields
from detector.training.pipeline_config.data import convert_data, find_records
from detector.training.pipeline_config.epochs import convert_length, count_examples
from detector.training.pipeline_config.ledger import Entry, Ledger, Outcome
from detector.training.pipeline_config.leftovers import sweep
from detector.training.pipeline_config.network import convert_network
from detector.training.pipeline_config.optimiser import convert_measured, convert_optimiser
from detector.training.pipeline_config.settings_file import check_settings, describe_entries, format_settings
from detector.training.pipeline_config.suppression import convert_suppression
from detector.training.pipeline_config.text_proto import read_text_proto
from detector.training.train_settings import TrainSettings

_PLAIN_WIDTH = 160
_MAX_BYTES = 4 * 1024 * 1024


@dataclass(frozen=True)
class Conversion:
    """What was written and what became of every field, with what had to be assumed."""

    source: Path
    out: Path
    settings: TrainSettings
    entries: tuple[Entry, ...]
    assumptions: tuple[str, ...]

    def count(self) -> Counter[Outcome]:
        """Count the fields by what became of them."""
        return Counter(entry.outcome for entry in self.entries if not entry.is_remark)


def convert_pipeline_config(
    source: Path, out: Path, *, data_root: Path | None = None, examples: int | None = None
) -> Conversion:
    """Read a pipeline.config and write the YAML of jobs/train.py to ``out``.

    ``data_root`` becomes data.root; ``examples`` is the number of training pictures, for epochs. Raises
    ``SettingsError``, before anything is written, for a file that can't be read, fields that the API doesn't
    have, values that the settings don't take, and where ``out`` is there already.
    """
    if examples is not None and examples < 1:
        raise SettingsError(f"--examples is {examples}: give the number of training pictures")
    if out.exists():
        raise SettingsError(f"{out} is there already: give another name, or move it away")
    ledger = convert_text(_read_text(source), str(source), data_root=data_root, examples=examples)
    settings = check_settings(ledger, str(source))
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(format_settings(ledger, str(source)), encoding="utf-8")
    entries = tuple(ledger.list_entries(*Outcome))
    return Conversion(source, out, settings, entries, tuple(ledger.assumptions))


def convert_text(
    text: str, source: str, *, data_root: Path | None = None, examples: int | None = None
) -> Ledger:
    """Convert a config's text; see ``convert_pipeline_config``."""
    root, ledger = check_fields(read_text_proto(text, source), source), Ledger()
    convert_data(root, data_root, ledger)
    _convert_model(root, ledger)
    train, model = root.find("train_config"), root.find("model")
    counted = (examples, "as given") if examples else count_examples(find_records(root, data_root))
    epochs = convert_length(train, counted, ledger)
    convert_optimiser(train, model, epochs, ledger)
    convert_measured(root.find("eval_config"), ledger)
    convert_augmentation(train, ledger)
    sweep(root, ledger)
    return ledger


def print_conversion(conversion: Conversion, console: Console) -> int:
    """Print what wants a decision, and give the exit code; everything is in the file's comments."""
    for assumed in conversion.assumptions:
        console.print(Text(f"assumed: {assumed}", style="yellow"))
    for outcome, style in ((Outcome.NEAREST, "cyan"), (Outcome.NONE, "yellow")):
        entries = (entry for entry in conversion.entries if entry.outcome is outcome)
        for line in describe_entries(entries):
            console.print(Text(f"{outcome.value}: {line}", style=style))
    counts = ", ".join(f"{number} {outcome.value}" for outcome, number in conversion.count().items())
    console.print(Text(f"{conversion.out}: {counts}; each field is in its comments"))
    return 0


def run_conversion(arguments: Sequence[str]) -> int:
    """Convert as the command line of jobs/train.py says, print what wants a decision, give the exit code.

    Raises ``SettingsError`` as ``convert_pipeline_config`` does; leaves by ``SystemExit(2)`` for wrong flags.
    """
    parser = argparse.ArgumentParser(prog="jobs/train.py", description=__doc__, allow_abbrev=False)
    parser.add_argument("--from-pipeline-config", type=Path, required=True, metavar="FILE", dest="source")
    parser.add_argument("--out", type=Path, required=True, help="the YAML file to write")
    parser.add_argument("--data.root", type=Path, metavar="DIR", dest="root", help="becomes data.root")
    parser.add_argument("--examples", type=int, metavar="N", help="pictures that the training went over")
    given = parser.parse_args(arguments)
    found = convert_pipeline_config(given.source, given.out, data_root=given.root, examples=given.examples)
    width = None if sys.stdout.isatty() else _PLAIN_WIDTH
    return print_conversion(found, Console(width=width, markup=False, highlight=False, emoji=False))


def _convert_model(root: Node, ledger: Ledger) -> None:
    holder = root.find("model")
    model = holder.only("ssd", "faster_rcnn", "center_net") if holder else None
    if model is None:
        ledger.assumptions.append("model is this project's default: the config has none that is known")
        return
    network = convert_network(model, ledger)
    convert_anchors(network, ledger)
    convert_suppression(model, ledger)


def _read_text(source: Path) -> str:
    try:
        if source.stat().st_size > _MAX_BYTES:
            raise SettingsError(f"{source} is larger than {_MAX_BYTES} bytes: it is no pipeline.config")
        return source.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{source} can't be read as UTF-8 text: {error}") from error
