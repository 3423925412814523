"""The check against the API's schema, beside protobuf's own parser with descriptors made of that schema."""

from functools import cache

import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format
from hypothesis import given, settings
from hypothesis import strategies as st

from detector.errors import SettingsError
from detector.training.pipeline_config.config_tree import check_fields
from detector.training.pipeline_config.schema import read_schema
from detector.training.pipeline_config.text_proto import read_text_proto

_KINDS = {"bool": 8, "int32": 5, "uint32": 13, "float": 2, "string": 9}


def check(text):
    """Read and check a text."""
    return check_fields(read_text_proto(text, "x.config"), "x.config")


@cache
def build_message_class():
    """Build protobuf's class of the root message, fields in the schema's order."""
    schema = read_schema()
    file = descriptor_pb2.FileDescriptorProto(name="pipeline.proto", package="p", syntax="proto2")
    for name, fields in schema.messages.items():
        message = file.message_type.add(name=name.replace(".", "_"))
        if any(declared.oneof for declared in fields.values()):
            message.oneof_decl.add(name="choice")
        for number, (field_name, declared) in enumerate(fields.items(), 1):
            field = message.field.add(name=field_name, number=number, label=3 if declared.repeated else 1)
            if declared.oneof:
                field.oneof_index = 0
            if declared.message:
                field.type, field.type_name = 11, f".p.{declared.name.replace('.', '_')}"
            else:
                field.type = 9 if declared.words else _KINDS[declared.name]
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"p.{schema.root}"))


def list_values(node):
    """List a tree's scalars as (path, value)."""
    return [(leaf.path, leaf.value) for leaf in node.leaves() if leaf.value is not None]


def list_theirs(message, above=""):
    """List a protobuf message's scalars as (path, value)."""
    found = []
    for declared, value in message.ListFields():
        path = f"{above}{declared.name}"
        values = (
            [(f"{path}[{n}]", v) for n, v in enumerate(value)] if declared.is_repeated else [(path, value)]
        )
        for name, each in values:
            found += list_theirs(each, f"{name}.") if declared.message_type else [(name, each)]
    return found


def quote_words(text):
    """Write enum words as strings, as the built class has them."""
    words = {w for fields in read_schema().messages.values() for f in fields.values() for w in f.words}
    lines = []
    for line in text.splitlines():
        name, colon, value = line.partition(":")
        word = value.strip().rstrip(",;")
        lines.append(f'{name}: "{word}"' if colon and word in words else line)
    return "\n".join(lines)


def agree(text):
    """Compare our tree with protobuf's message."""
    ours = sorted(list_values(check(text)))
    theirs = sorted(list_theirs(text_format.Parse(quote_words(text), build_message_class()())))
    assert [path for path, _ in ours] == [path for path, _ in theirs]
    for (path, value), (_, other) in zip(ours, theirs, strict=True):
        assert value == (pytest.approx(other, rel=1e-6) if isinstance(value, float) else other), path


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32))
def test_agrees_with_protobuf(write_config, seed):
    """Random configs give the paths and values that protobuf's parser gives."""
    agree(write_config(seed))


@pytest.mark.data
def test_agrees_with_protobuf_on_real_configs(pack_configs):
    """Every config of the data pack gives the paths and values that protobuf's parser gives."""
    for path in pack_configs:
        agree(path.read_text())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "model {\n ssd {\n num_clases: 2 } }",
            "line 3: unknown field model.ssd.num_clases: Ssd has none such; did you mean num_classes?",
        ),
        ("train_config {\n batch_size: many }", "line 2: train_config.batch_size: 'many' is no uint32"),
        ("train_config {\n batch_size: -1 }", "'-1' is no uint32"),
        ("train_config {\n use_bfloat16: 2 }", "'2' is no bool"),
        ("train_config { fine_tune_checkpoint: x }", "'x' is no string"),
        ("train_config { gradient_clipping_by_norm: 1e99 }", "'1e99' is no float"),
        ("train_config { optimizer: 1 }", "'1' is no message Optimizer"),
        ("train_config { batch_size { } }", "a message is no uint32"),
        ("train_config { fine_tune_checkpoint_version: V3 }", "'V3' is none of UNKNOWN, V1, V2"),
        ("train_config { batch_size: 1\n batch_size: 2 }", "line 2: train_config.batch_size is given twice"),
        ("model { ssd { }\n faster_rcnn { } }", "line 2: model.faster_rcnn and model.ssd exclude each other"),
        ("model { [a.b] { } }", "unknown field model.[a.b]"),
    ],
)
def test_refuses_by_path_and_line(text, message):
    """What the API's own parser would refuse is refused, with its path and line."""
    with pytest.raises(SettingsError) as refusal:
        check(text)
    assert message in str(refusal.value)


def test_names_every_fault_at_once():
    """All faults of a file are in one message."""
    with pytest.raises(SettingsError, match=r"(?s)line 1: unknown field modell.*line 2: unknown field train"):
        check("modell { }\ntrain { }")


def test_keeps_extensions_where_they_may_be():
    """A message that others may extend keeps their fields, as text."""
    root = check("train_input_reader { external_input_reader { [a.b] { c: 1 } } }")
    assert next(root.leaves()).value == "{c: 1}"


def test_reads_defaults():
    """What isn't given is what the API takes: 32 pictures a step, an average of .9999."""
    train = check("train_config { optimizer { } }").find("train_config")
    assert train.number("batch_size") == 32
    assert train.find("optimizer").number("moving_average_decay") == 0.9999
