"""H.264 streams without whole keyframes: those that refresh the picture strip by strip.

Owns that question alone (H.264, D.2.8: the recovery point message). A decoder may begin at such a point,
and the picture is right some frames later only.
"""

from __future__ import annotations  # PyAV's packets are generic for type checkers alone

from collections.abc import Iterator
from typing import Any

from av.packet import Packet

_LOOKED_AT_BYTES = 8192  # messages come before the slices
_SLICES = (1, 2, 3, 4, 5)
_MESSAGES = 6
_RECOVERY_POINT = 6
_MORE = 255


def refreshes_gradually(packet: Packet[Any], extradata: bytes) -> bool:
    """Tell whether the picture is whole only some frames after this H.264 entry point."""
    content = bytes(memoryview(packet)[:_LOOKED_AT_BYTES])
    for unit in _split_units(content, extradata):
        kind = unit[0] & 31
        if kind in _SLICES:
            return False
        if kind == _MESSAGES:
            for payload_type, payload in _split_messages(unit[1:].replace(b"\0\0\3", b"\0\0")):
                if payload_type == _RECOVERY_POINT and payload:
                    return not payload[0] >> 7  # an Exp-Golomb 0 is a single bit 1
    return False


def _split_units(content: bytes, extradata: bytes) -> Iterator[bytes]:
    if extradata[:1] != b"\1":
        yield from (unit for unit in content.split(b"\0\0\1")[1:] if unit)
        return
    prefix, place = (extradata[4] & 3) + 1 if len(extradata) > 4 else 4, 0  # noqa: PLR2004 (ISO 14496-15, 5.3.3)
    while place + prefix < len(content):
        size = int.from_bytes(content[place : place + prefix])
        place += prefix
        if size:
            yield content[place : place + size]
        place += size


def _split_messages(content: bytes) -> Iterator[tuple[int, bytes]]:
    place = 0
    while place + 2 < len(content):
        numbers = [0, 0]
        for which in (0, 1):
            while place < len(content) and content[place] == _MORE:
                numbers[which] += _MORE
                place += 1
            numbers[which] += content[place] if place < len(content) else 0
            place += 1
        yield numbers[0], content[place : place + numbers[1]]
        place += numbers[1]
