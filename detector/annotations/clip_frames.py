"""Pictures out of videos, to annotate them: one every so often, by the frame's own clock.

Owns the files' encoding, and that none is ever replaced by another unless told to. Refuses to decode itself:
``detector.media.video`` does.
"""

import io
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

from detector.annotations.command_results import FramesResult
from detector.annotations.dataset_settings import FramesSettings
from detector.annotations.frame_names import name_frame
from detector.annotations.parallel import Progress
from detector.errors import MediaError, SettingsError
from detector.media.filesystem import FileAccess

if TYPE_CHECKING:
    from detector.media.video.frames import VideoFrame

_SEGMENT_S = 60.0


def take_frames(settings: FramesSettings, watch: Callable[[str], Progress]) -> FramesResult:
    """Write a JPEG for each wanted frame of each video into ``out``, upright, in its own size.

    Wanted are the frames shown at 0, ``every``, 2 * ``every`` and so on from the file's start, each once. A
    file that holds the same picture already is left alone.

    A video that can't be read to its end is among the result's failures; what came before the damage is
    kept, and the others are done. Raises ``SettingsError`` where two videos have one name, or another
    picture has the name of a frame.
    """
    clips = {video.stem: video for video in settings.videos}
    if len(clips) < len(settings.videos):
        raise SettingsError("two of the videos share a name, and so would their pictures: rename one")
    settings.out.mkdir(parents=True, exist_ok=True)
    counts: dict[str, int] = {}
    failures: list[str] = []
    for clip, video in clips.items():
        counts[clip] = 0
        try:
            for frame in _read_wanted(settings, video, watch(clip)):
                _write_picture(frame, settings, clip)
                counts[clip] += 1
        except MediaError as error:
            failures.append(f"{video}: {error}")
    return FramesResult(settings.out, counts, tuple(failures))


def _read_wanted(settings: FramesSettings, video: Path, progress: Progress) -> Iterator["VideoFrame"]:
    # Imported here: the other commands need no video library.
    from detector.media.filesystem import open_content
    from detector.media.video.frames import read_frames
    from detector.media.video.index import read_index
    from detector.media.video.sampling import Sampling
    from detector.media.video.segments import cut_into_segments

    sampling = Sampling("fps", 1 / settings.every)
    content = open_content(
        str(video.absolute()), size_bytes=None, modified_at=None, access=FileAccess(), follow_symlinks=True
    )
    with content as file:
        index = read_index(file, max_pixels=settings.max_pixels)
        segments = cut_into_segments(
            index, segment_s=_SEGMENT_S, start_s=settings.start, end_s=settings.end, sampling=sampling
        )
        total, taken = sum(segment.frames_expected or 0 for segment in segments), 0
        damage: MediaError | None = None
        for segment in segments:
            frames = read_frames(
                file, segment, sampling=sampling, canvas_hw=None, max_pixels=settings.max_pixels
            )
            try:
                for frame in frames:
                    yield frame
                    taken += 1
                    progress(taken, max(taken, total))
            except MediaError as error:
                damage = damage or error
        if damage is not None:
            raise damage


def _write_picture(frame: "VideoFrame", settings: FramesSettings, clip: str) -> None:
    path = settings.out / name_frame(clip, time_s=frame.time_s, frame_index=frame.frame_index)
    content = io.BytesIO()
    Image.fromarray(frame.pixels).save(content, "JPEG", quality=settings.quality, subsampling=0)
    if path.exists() and not settings.overwrite:
        if path.read_bytes() == content.getvalue():
            return
        raise SettingsError(f"{path} is another picture: give another --out, or --overwrite")
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_bytes(content.getvalue())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
