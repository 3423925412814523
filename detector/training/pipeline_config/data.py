"""The data of a pipeline.config: records, label map, the metric that chooses.

Owns where training pictures are looked for. Opens nothing that isn't below the data's root or named by the
config; a path that isn't there is told.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from detector.errors import LabelMapError
from detector.labels import read_label_map
from detector.training.pipeline_config.config_tree import Node
from detector.training.pipeline_config.ledger import Ledger

_SEPARATOR = re.compile(r"(.*?)([\\/]+)([^\\/]*)\Z", re.DOTALL)
_SHARD = re.compile(r"\?+|@\d+")
_PICTURES = (
    "pictures are files here: data.root needs those of the records' filenames beside them, or is the folder "
    "of photos and XML that the records were made of, with data.format voc"
)
_METRICS = {
    "coco_detection_metrics": ("ap", ""),
    "pascal_voc_detection_metrics": ("ap50", ""),
    "weighted_pascal_voc_detection_metrics": ("ap50", "every box counts once here"),
    "open_images_V2_detection_metrics": ("ap50", "jobs/evaluate.py has the Open Images metric itself"),
    "oid_V2_detection_metrics": ("ap50", "jobs/evaluate.py has the Open Images metric itself"),
}


def split_path(path: str) -> tuple[str, str]:
    """Split a path or URI of any system into folder and name.

    >>> split_path("gs://bucket/train.record"), split_path("train.record")
    (('gs://bucket', 'train.record'), ('.', 'train.record'))
    """
    found = _SEPARATOR.match(path)
    return (found[1] or found[2], found[3]) if found else (".", path)


def find_records(root: Node, data_root: Path | None) -> list[Path]:
    """Find the training records that can be read: where the config says, or below ``data_root`` by name."""
    found: list[Path] = []
    for node in _list_inputs(root.find("train_input_reader")):
        found += _expand(str(node.value), data_root)
    return found


def convert_data(root: Node, data_root: Path | None, ledger: Ledger) -> None:
    """Convert the readers and the evaluation's metric."""
    reader = root.find("train_input_reader")
    inputs = _list_inputs(reader)
    records = find_records(root, data_root)
    if data_root is not None:
        _convert_given_root(data_root, inputs, records, ledger)
    else:
        _convert_named_root(inputs, ledger)
    _convert_labels(reader, root, data_root, ledger)
    _convert_validation(root, ledger)
    _convert_metric(root, ledger)


def _convert_given_root(data_root: Path, inputs: list[Node], records: list[Path], ledger: Ledger) -> None:
    ledger.convert("data.root", str(data_root), why="as given")
    inside = [record for record in records if record.resolve().is_relative_to(data_root.resolve())]
    if inside:
        ledger.convert("data.format", "tfrecord", *inputs, nearest=_PICTURES)
        _name_record(inside[0].resolve().relative_to(data_root.resolve()), len(inside), ledger)
        return
    ledger.convert("data.format", "voc", why="no record of the config is below data.root")
    for node in inputs:
        ledger.refuse(node, "annotations are read from data.root, as data.format says; check both")


def _convert_named_root(inputs: list[Node], ledger: Ledger) -> None:
    if not inputs:
        ledger.convert("data.root", "data", why="to be set: the config names no records")
        ledger.assumptions.append("data.root: the config names no records; set it to the annotated pictures")
        return
    folder, name = split_path(str(inputs[0].value))
    ledger.convert("data.root", folder, *inputs, nearest=_PICTURES)
    ledger.convert("data.format", "tfrecord", why="as the config's tf_record_input_reader")
    if not Path(folder).is_dir():
        ledger.assumptions.append(f"data.root {folder} is not there on this machine: give --data.root DIR")
    _name_record(Path(name), len(inputs) + len(_SHARD.findall(name)), ledger)


def _name_record(record: Path, count: int, ledger: Ledger) -> None:
    # Of several shards, all records below the root are read, by their name.
    if count == 1:
        ledger.convert("data.annotations", str(record), why="the training records")


def _convert_labels(reader: Node | None, root: Node, data_root: Path | None, ledger: Ledger) -> None:
    node = reader.find("label_map_path") if reader else None
    if node is None or not node.value:
        ledger.refuse(node, "without a label map classes are the names that occur, sorted: set data.labels")
        return
    beside = data_root / split_path(str(node.value))[1] if data_root else None
    is_beside = beside is not None and beside.is_file()
    shown = str(beside) if is_beside else str(node.value)
    ledger.convert("data.labels", shown, node, why="found in data.root" if is_beside else "")
    path = Path(shown)
    if not path.is_file():
        ledger.assumptions.append(
            f"data.labels {shown} is not there on this machine: set it to the label map"
        )
        return
    _compare_classes(path, root, ledger)


def _compare_classes(path: Path, root: Node, ledger: Ledger) -> None:
    model = root.find("model")
    family = model.only() if model else None
    count = int(family.number("num_classes")) if family and family.find("num_classes") else None
    try:
        found = len(read_label_map(path).names)
    except LabelMapError as error:
        ledger.assumptions.append(f"data.labels: {error}")
        return
    if count is not None and found != count:
        ledger.assumptions.append(
            f"data.labels {path} has {found} classes, num_classes is {count}: the label map decides here"
        )


def _convert_validation(root: Node, ledger: Ledger) -> None:
    ours = root.find("train_input_reader")
    own = {ours.get("label_map_path") if ours else None}
    for reader in root.find_all("eval_input_reader"):
        labels = reader.find("label_map_path")
        if labels and labels.value in own:
            ledger.same(labels, "data.labels serves training and validation")
        else:
            ledger.refuse(labels, "one label map for both: data.labels")
        ledger.same(reader.find("shuffle"), "validation pictures come in one order")
        for node in _list_inputs(reader):
            advice = "a part of data.root is for validation (data.val); name the old parts by data.split"
            ledger.refuse(node, advice)


def _convert_metric(root: Node, ledger: Ledger) -> None:
    evaluation = root.find("eval_config")
    metrics = evaluation.find_all("metrics_set") if evaluation else []
    known = [node for node in metrics if node.value in _METRICS][:1]
    for node in known:
        metric, nearest = _METRICS[str(node.value)]
        ledger.convert("fit.metric", metric, node, nearest=nearest)
    for node in metrics:
        if node not in known:
            ledger.refuse(
                node, "training chooses by fit.metric; jobs/evaluate.py computes all metrics there are"
            )


def _list_inputs(reader: Node | None) -> list[Node]:
    records = reader.find("tf_record_input_reader") if reader else None
    return [node for node in records.find_all("input_path") if node.value] if records else []


def _expand(named: str, data_root: Path | None) -> Iterator[Path]:
    own, name = split_path(named)
    folders = [data_root] if data_root else []
    if "://" not in named:
        folders.append(Path(own))
    for folder in folders:
        pattern = _SHARD.sub("*", name)
        found = sorted(folder.glob(pattern)) if pattern.strip("*") and folder.is_dir() else []
        if found:
            yield from (path for path in found if path.is_file())
            return
