"""TFRecord files of tf.train.Example messages, without TensorFlow.

Owns the framing of https://www.tensorflow.org/tutorials/load_data/tfrecord (length, data, masked CRC-32C of
each) and the message. Refuses records whose checksum is wrong.
"""

import struct
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import IO, Any

import google_crc32c
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

Values = list[bytes] | list[float] | list[int]

_MAX_RECORD_BYTES = 1 << 30
_KINDS = {"bytes_list": bytes, "float_list": float, "int64_list": int}


class TFRecordError(ValueError):
    """A file is no TFRecord file, or damaged."""


def format_record(data: bytes) -> bytes:
    """Frame one record.

    >>> len(format_record(b"four"))
    20
    """
    length = struct.pack("<Q", len(data))
    return length + _mask_checksum(length) + data + _mask_checksum(data)


def read_records(path: Path) -> Iterator[bytes]:
    """Read the records of one file, one at a time. Raises ``TFRecordError`` at the first damaged one."""
    with path.open("rb") as file:
        number = 0
        while head := file.read(12):
            number += 1
            if len(head) < 12 or _mask_checksum(head[:8]) != head[8:]:  # noqa: PLR2004
                raise TFRecordError(
                    f"{path.name}: record {number} does not begin like one: copy the file again"
                )
            yield _read_data(file, int.from_bytes(head[:8], "little"), f"{path.name}: record {number}")


def format_example(features: Mapping[str, Values]) -> bytes:
    """Serialise a tf.train.Example; a list's first value decides its kind, an empty list has none."""
    example = _build_example_class()()
    for name, values in features.items():
        feature = example.features.feature[name]
        for field, kind in _KINDS.items():
            if values and isinstance(values[0], kind):
                getattr(feature, field).value.extend(values)
    data: bytes = example.SerializeToString(deterministic=True)
    return data


def parse_example(data: bytes) -> dict[str, list[Any]]:
    """Parse a tf.train.Example into lists. Raises ``google.protobuf.message.DecodeError``."""
    example = _build_example_class().FromString(data)
    features = example.features.feature.items()
    return {name: list(getattr(f, f.WhichOneof("kind") or "bytes_list").value) for name, f in features}


def _read_data(file: IO[bytes], length: int, place: str) -> bytes:
    if length > _MAX_RECORD_BYTES:
        raise TFRecordError(f"{place} claims {length:,} bytes: copy the file again")
    data, checksum = file.read(length), file.read(4)
    if _mask_checksum(data) != checksum:
        raise TFRecordError(f"{place} is damaged or cut short: copy the file again")
    return data


def _mask_checksum(data: bytes) -> bytes:
    crc = google_crc32c.value(data)
    rotated = (crc >> 15 | crc << 17) & 0xFFFFFFFF
    return struct.pack("<I", (rotated + 0xA282EAD8) & 0xFFFFFFFF)


@cache
def _build_example_class() -> Any:  # noqa: ANN401 (a class made at run time)
    # tensorflow/core/example/{example,feature}.proto, in a pool of their own beside TensorFlow's.
    kinds = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name="example.proto", package="detector", syntax="proto3")
    for name, kind in (("Bytes", kinds.TYPE_BYTES), ("Float", kinds.TYPE_FLOAT), ("Int64", kinds.TYPE_INT64)):
        values = file.message_type.add(name=f"{name}List")
        values.field.add(name="value", number=1, type=kind, label=kinds.LABEL_REPEATED)
    feature = file.message_type.add(name="Feature")
    feature.oneof_decl.add(name="kind")
    for number, name in enumerate(("Bytes", "Float", "Int64"), 1):
        _add_message(feature, f"{name.lower()}_list", number, f"{name}List").oneof_index = 0
    features = file.message_type.add(name="Features")
    entry = features.nested_type.add(name="FeatureEntry")
    entry.options.map_entry = True
    entry.field.add(name="key", number=1, type=kinds.TYPE_STRING, label=kinds.LABEL_OPTIONAL)
    _add_message(entry, "value", 2, "Feature")
    _add_message(features, "feature", 1, "Features.FeatureEntry").label = kinds.LABEL_REPEATED
    _add_message(file.message_type.add(name="Example"), "features", 1, "Features")
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("detector.Example"))


def _add_message(
    message: descriptor_pb2.DescriptorProto, name: str, number: int, kind: str
) -> descriptor_pb2.FieldDescriptorProto:
    kinds = descriptor_pb2.FieldDescriptorProto
    return message.field.add(
        name=name,
        number=number,
        type=kinds.TYPE_MESSAGE,
        type_name=f".detector.{kind}",
        label=kinds.LABEL_OPTIONAL,
    )
