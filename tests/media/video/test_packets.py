"""What single packets tell: hidden frames of VP8 and VP9, gradual refresh of H.264."""

import av
import pytest

from detector.media.video.packets import _is_shown
from detector.media.video.recovery import refreshes_gradually

AVCC = bytes([1, 100, 0, 30, 0xFF])  # ISO 14496-15, 5.3.3: four bytes of length before each unit
SLICE = bytes([0x65, 0x88, 0x84])


@pytest.mark.parametrize(
    ("codec", "first", "last", "is_shown"),
    [
        ("vp8", 0b0001_0000, 0, True),  # RFC 6386, 9.1: bit 4 is show_frame
        ("vp8", 0b0000_0001, 0, False),
        ("vp9", 0b10_00_0_0_1_0, 0, True),  # marker, profile 0, no existing frame, keyframe, shown
        ("vp9", 0b10_00_0_1_0_0, 0, False),
        ("vp9", 0b10_00_1_000, 0, True),  # an existing frame is shown
        ("vp9", 0b10_00_0_1_0_0, 0b110_00_001, True),  # a superframe has a shown one
        ("vp9", 0b10_11_0_0_0_1, 0, True),  # profile 3 has one more bit before
        ("vp9", 0b10_11_0_0_1_0, 0, False),
        ("h264", 0, 0, True),
    ],
)
def test_hidden_frames(codec, first, last, is_shown):
    """By their first byte, and a superframe's last."""
    assert _is_shown(av.Packet(bytes([first, 0, 0, last])), codec) == is_shown


def make_packet(*units, extradata=b""):
    """Join units as a stream has them: behind start codes, or behind their lengths."""
    if extradata:
        return av.Packet(b"".join(len(unit).to_bytes(4) + unit for unit in units))
    return av.Packet(b"".join(b"\0\0\0\1" + unit for unit in units))


@pytest.mark.parametrize("extradata", [b"", AVCC])
@pytest.mark.parametrize(
    ("messages", "is_gradual"),
    [
        (b"\x06\x01\xc4", False),  # recovery point after 0 frames: an Exp-Golomb 0 is the bit 1
        (b"\x06\x01\x24", True),  # after 3 frames
        (b"\x05\x04abcd\x06\x01\x24", True),  # another message before it
        (b"\xff\x01\x02ab\x06\x01\x24", True),  # a message of type 256
        (b"\x05\x04abcd", False),
    ],
)
def test_recovery_points(messages, is_gradual, extradata):
    """H.264, D.2.8, with both kinds of framing."""
    packet = make_packet(b"\x09\xf0", b"\x06" + messages + b"\x80", SLICE, extradata=extradata)
    assert refreshes_gradually(packet, extradata) == is_gradual


@pytest.mark.parametrize("extradata", [b"", AVCC])
@pytest.mark.parametrize("content", [b"", b"\0\0\1", b"\0\0\0\x02\x06", b"\x06\x06\xff\xff\xff", b"\0" * 40])
def test_broken_units_are_no_recovery(content, extradata):
    """Cut off anywhere, nothing is raised."""
    assert not refreshes_gradually(av.Packet(content), extradata)


def test_messages_after_the_slices_count_no_more():
    """They are the next frame's."""
    assert not refreshes_gradually(make_packet(SLICE, b"\x06\x06\x01\x24\x80"), b"")
