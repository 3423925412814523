"""Headers that announce far more than their few bytes hold: refused with hardly any memory."""

import struct
import zlib
from fractions import Fraction

import av
import pytest

from detector.errors import DamagedVideoError, TooManyPixelsError
from detector.media.filesystem import build_access
from detector.media.video.sampling import parse_sampling
from detector.scoring.decoders import DecodeLimits, close_decoders, open_decoders
from detector.scoring.indexer import Indexer, ListedVideo
from detector.scoring.loader import Loader
from detector.scoring.unit import Unit

# A process that would take more is told TooMuchMemory instead.
LIMITS = DecodeLimits(timeout_s=30, memory_bytes=200 * 1024**2)


@pytest.fixture(autouse=True)
def _close():
    yield
    close_decoders()


def make_loader(canvas_hw=None):
    """Give a loader with the default limit on pixels."""
    return Loader(build_access([]), False, 120_000_000, canvas_hw, False, parse_sampling("keyframes"), None)


def write_png(path, side_px):
    """Write a black PNG, its rows compressed as they are made."""
    packed = zlib.compressobj(9)
    rows = b"".join(packed.compress(bytes(1 + (side_px + 7) // 8)) for _ in range(side_px)) + packed.flush()

    def chunk(kind, content):
        return (
            struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        )

    header = struct.pack(">IIBBBBB", side_px, side_px, 1, 0, 0, 0, 0)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    )
    return path


def write_clip_of_bombs(path, bomb, side_px):
    """Write a clip of three PNG frames that are bombs each."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("png", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "rgb24"
        for number in range(3):
            packet = av.Packet(bomb)
            packet.stream, packet.pts, packet.dts, packet.time_base = stream, number, number, Fraction(1, 10)
            packet.is_keyframe = True
            container.mux(packet)
    content = bytearray(path.read_bytes())
    at = content.index(b"strf") + 8 + 4  # behind the size of BITMAPINFOHEADER
    content[at : at + 8] = struct.pack("<II", side_px, side_px)
    path.write_bytes(content)
    return path


def test_a_picture_bomb(tmp_path):
    """Some 50 KB that would be 1.2 GB of pixels."""
    bomb = write_png(tmp_path / "bomb.png", 20_000)
    assert bomb.stat().st_size < 60_000
    unit = Unit("1", str(bomb), "image", bomb.stat().st_size, None, 0)
    with pytest.raises(TooManyPixelsError, match="20000 x 20000"):
        list(open_decoders(make_loader(), LIMITS)(unit))


def test_a_video_bomb(tmp_path):
    """Frames of 16,384 x 16,384 in some kilobytes each."""
    frame = write_png(tmp_path / "frame.png", 16_384).read_bytes()
    bomb = write_clip_of_bombs(tmp_path / "bomb.avi", frame, 16_384)
    assert bomb.stat().st_size < 200_000
    indexer = Indexer(build_access([]), False, 120_000_000, parse_sampling("keyframes"), None, 60, 0, None)
    with pytest.raises((TooManyPixelsError, DamagedVideoError), match="max_pixels"):
        list(open_decoders(indexer, LIMITS)(ListedVideo(str(bomb), None, None)))


def test_the_limit_is_one(tmp_path):
    """A picture within the limit on pixels that takes more memory than allowed: the bombs' tests can fail."""
    large = write_png(tmp_path / "large.png", 10_000)
    unit = Unit("1", str(large), "image", large.stat().st_size, None, 0)
    with pytest.raises(Exception, match="decode_memory_bytes"):
        list(open_decoders(make_loader(), LIMITS)(unit))
