"""From a unit to pictures that a model takes: reading and decoding, nothing of Spark or TensorFlow.

Owns what of the settings decoding needs. Its ``serve`` is what a limited process runs; ``read_frame`` takes
on this side what was sent.
"""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any, BinaryIO, cast

import numpy as np

from detector.boxes import Letterbox
from detector.media.decoding import decode_image
from detector.media.filesystem import FileAccess, open_content, read_content
from detector.media.video.frames import VideoFrame, read_frames
from detector.media.video.sampling import Sampling
from detector.media.video.segments import Segment
from detector.models.encoding import InputKind, build_example, encode_png
from detector.scoring.pipeline import LoadedFrame, MediaFacts
from detector.scoring.unit import Unit


@dataclass(frozen=True)
class Loader:
    """How media are read and decoded.

    ``canvas_hw``: the (height, width) that pictures are letterboxed to; ``as_png``: encoded again, for a
    model that decodes itself; ``stream``: which of a file's video streams.
    """

    access: FileAccess
    follow_symlinks: bool
    max_pixels: int
    canvas_hw: tuple[int, int] | None
    as_png: bool
    sampling: Sampling
    stream: int | None
    codec_threads: int = 1

    def load(self, source: Unit | bytes, tell_busy: Callable[[], None]) -> Iterator[LoadedFrame]:
        """Give the pictures of a unit, or of an image's bytes.

        Raises ``MediaError`` where they end too early.
        """
        if isinstance(source, bytes):
            yield self._load_image(source)
        elif source.segment is None:
            content = read_content(
                source.media_uri,
                size_bytes=source.size_bytes,
                modified_at=source.modified_at,
                access=self.access,
                follow_symlinks=self.follow_symlinks,
            )
            tell_busy()
            yield self._load_image(content)
        else:
            yield from self._load_segment(source, source.segment, tell_busy)

    def serve(
        self, source: Unit | bytes, tell_busy: Callable[[], None]
    ) -> Iterator[tuple[dict[str, Any], Any]]:
        """Load in a limited process: facts for ``read_frame``, and the pixels or PNG."""
        for frame in self.load(source, tell_busy):
            shape = None if isinstance(frame.pixels, bytes) else frame.pixels.shape
            named = {name: getattr(frame, name) for name in ("image_hw", "frame_index", "time_s")}
            letterbox = None if frame.letterbox is None else asdict(frame.letterbox)
            yield (
                {"shape": shape, "letterbox": letterbox, "facts": asdict(frame.facts), **named},
                frame.pixels,
            )

    def _load_image(self, content: bytes) -> LoadedFrame:
        decoded = decode_image(content, max_pixels=self.max_pixels, canvas_hw=self.canvas_hw)
        facts = MediaFacts(decoded.width_px, decoded.height_px, hashlib.sha256(content).hexdigest())
        height, width = decoded.pixels.shape[:2]
        pixels = encode_png(decoded.pixels) if self.as_png else decoded.pixels
        return LoadedFrame(pixels, (height, width), decoded.letterbox, facts)

    def _load_segment(
        self, unit: Unit, segment: Segment, tell_busy: Callable[[], None]
    ) -> Iterator[LoadedFrame]:
        with open_content(
            unit.media_uri,
            size_bytes=unit.size_bytes,
            modified_at=unit.modified_at,
            access=self.access,
            follow_symlinks=self.follow_symlinks,
        ) as file:
            frames = read_frames(
                watch_file(file, tell_busy),
                segment,
                sampling=self.sampling,
                canvas_hw=self.canvas_hw,
                stream=self.stream,
                max_pixels=self.max_pixels,
                codec_threads=self.codec_threads,
            )
            for frame in frames:
                yield self._build(frame)

    def _build(self, frame: VideoFrame) -> LoadedFrame:
        height, width = frame.pixels.shape[:2]
        return LoadedFrame(
            encode_png(frame.pixels) if self.as_png else frame.pixels,
            (height, width),
            frame.letterbox,
            MediaFacts(frame.width_px, frame.height_px, None),
            frame.frame_index,
            frame.time_s,
        )


def watch_file(file: BinaryIO, tell_busy: Callable[[], None]) -> BinaryIO:
    """Give the file with reads that tell that work goes on."""
    return cast("BinaryIO", _WatchedFile(file, tell_busy))


class _WatchedFile:
    def __init__(self, file: BinaryIO, tell_busy: Callable[[], None]) -> None:
        self._file, self._tell_busy = file, tell_busy
        self.seek, self.tell = file.seek, file.tell

    def read(self, size: int = -1) -> bytes:
        """Read as the file does."""
        self._tell_busy()
        return self._file.read(size)


def read_frame(facts: dict[str, Any], buffer: memoryview) -> LoadedFrame:
    """Build the frame that ``Loader.serve`` sent; its pixels are read-only views of ``buffer``."""
    shape, letterbox = facts["shape"], facts["letterbox"]
    return LoadedFrame(
        bytes(buffer) if shape is None else np.frombuffer(buffer, np.uint8).reshape(shape),
        tuple(facts["image_hw"]),
        None if letterbox is None else Letterbox(**{k: _to_tuple(v) for k, v in letterbox.items()}),
        MediaFacts(**facts["facts"]),
        facts["frame_index"],
        facts["time_s"],
    )


def finish_frame(frame: LoadedFrame, kind: InputKind) -> LoadedFrame:
    """Give the frame as a model of this kind takes it: where TensorFlow is at hand, as messages need it."""
    if kind != "tf_example":
        return frame
    return replace(frame, pixels=build_example(bytes(frame.pixels), *frame.image_hw))


def _to_tuple(value: Any) -> Any:  # noqa: ANN401 (JSON has lists for tuples)
    return tuple(value) if isinstance(value, list) else value
