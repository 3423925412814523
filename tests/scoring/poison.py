"""Decoders that crash, hang or eat memory on marked files: put in front of the real ones in the processes that decode.

``write_site`` makes a folder for PYTHONPATH whose sitecustomize does it; ``poison`` marks a file.
"""

from pathlib import Path

_SITE = '''
"""Injected by a test: real decoders with a native fault for files that end in a mark."""

import sys

if "detector.isolation.zygote" in sys.orig_argv:
    import ctypes

    import detector.media.decoding as images
    import detector.media.video.frames as frames
    import detector.media.video.index as index

    decode_image, read_index, read_frames = images.decode_image, index.read_index, frames.read_frames

    def break_on(mark):
        if mark == b"CRASHING":
            ctypes.string_at(0)
        if mark == b"SPINNING":
            while True:
                pass
        if mark == b"HUNGRY..":
            held = []
            while True:
                held.append(bytearray(16 * 1024 * 1024))

    def read_mark(file):
        file.seek(-8, 2)
        mark = file.read(8)
        file.seek(0)
        return mark

    def hostile_image(content, **limits):
        break_on(content[-8:])
        return decode_image(content, **limits)

    def hostile_index(file, **limits):
        if read_mark(file) == b"CRASHING":
            break_on(b"CRASHING")
        return read_index(file, **limits)

    def hostile_frames(file, segment, **limits):
        mark = read_mark(file)
        for frame in read_frames(file, segment, **limits):
            yield frame
            if mark == b"LATER...":
                break_on(b"CRASHING")

    images.decode_image, index.read_index, frames.read_frames = hostile_image, hostile_index, hostile_frames
'''
CRASHING, SPINNING, HUNGRY, LATER = b"CRASHING", b"SPINNING", b"HUNGRY..", b"LATER..."


def write_site(folder: Path) -> Path:
    """Write the folder that goes onto PYTHONPATH."""
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(_SITE)
    return folder


def poison(file: Path, mark: bytes) -> Path:
    """Append a mark, which every real decoder ignores."""
    file.write_bytes(file.read_bytes() + mark)
    return file
