"""Configs to convert: those of the data pack, and random ones that the API's schema allows."""

import random
from pathlib import Path

import pytest

from detector.training.pipeline_config.schema import read_schema

_STRINGS = [
    '"ssd_mobilenet_v2_keras"', '"a/b.record"', r'"x\ny: 1"', '""', '"ssd_mobilenet_v1_fpn"', '"faster_rcnn_nas"',
    '"coco_detection_metrics"',
]  # fmt: skip


@pytest.fixture(scope="session")
def pack_configs(data_pack) -> list[Path]:
    """Give every pipeline.config of the data pack."""
    found = sorted((data_pack / "configs").rglob("*.config"))
    assert len(found) == 11
    return found


@pytest.fixture(scope="session")
def write_config():
    """Give a function from a seed to the text of a random config."""
    return lambda seed: write_message(read_schema().root, random.Random(seed))


def write_message(message, chance):
    """Write random fields of a message: of fields that exclude each other one, repeated ones up to twice."""
    lines = []
    fields = read_schema().messages[message]
    kept = chance.choice([name for name, declared in fields.items() if declared.oneof] or [""])
    density = chance.choice([0.3, 0.7, 1.0])
    for name, declared in chance.sample(list(fields.items()), len(fields)):
        if (declared.oneof and name != kept) or chance.random() > density:
            continue
        for _ in range(chance.randint(1, 2) if declared.repeated else 1):
            if declared.message:
                lines.append(f"{name} {{\n{write_message(declared.name, chance)}\n}}")
            else:
                lines.append(f"{name}: {write_scalar(declared, chance)}")
    return "\n".join(lines)


def write_scalar(declared, chance):
    """Write a random value: mostly usual ones, and those at the edges."""
    if declared.words:
        return chance.choice(declared.words)
    return {
        "bool": lambda: chance.choice(["true", "false"]),
        "int32": lambda: chance.choice([-1, 0, 1, 2, 7, 300, chance.randint(0, 3000)]),
        "uint32": lambda: chance.choice([0, 1, 32, chance.randint(0, 1_000_000)]),
        "float": lambda: chance.choice([-1.0, 0, 1, 1e-8, 1e30, 0.6000000238418579, chance.random()]),
        "string": lambda: chance.choice(_STRINGS),
    }[declared.name]()
