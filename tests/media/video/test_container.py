"""What is opened as a video, which stream of it, and what is refused."""

import io
import socket

import av
import numpy as np
import pytest
from PIL import Image

from detector.errors import (
    DamagedVideoError,
    EmptyMediaError,
    NotAVideoError,
    NoVideoStreamError,
    TooManyPixelsError,
)
from detector.media.video.container import open_video
from detector.media.video.index import read_index


def read_size(content, *, stream=None, max_pixels=10**7):
    """Open bytes as a video; give its stream's (width, height)."""
    with open_video(io.BytesIO(content), stream=stream, max_pixels=max_pixels) as source:
        return source.stream.codec_context.width, source.stream.codec_context.height


def write_streams(*sizes, defaults=(), suffix="matroska", cover=False):
    """Write a file with a video stream of each (width, height); some are the default."""
    file = io.BytesIO()
    with av.open(file, "w", format=suffix) as container:
        streams = [container.add_stream("mpeg4", rate=10) for _ in sizes]
        for number, (stream, size) in enumerate(zip(streams, sizes, strict=True)):
            stream.width, stream.height = size
            stream.pix_fmt = "yuv420p"
            stream.disposition = av.stream.Disposition.default if number in defaults else 0
        for stream, (width, height) in zip(streams, sizes, strict=True):
            frame = av.VideoFrame.from_ndarray(np.zeros((height, width, 3), np.uint8), format="rgb24")
            container.mux([*stream.encode(frame), *stream.encode()])
    return file.getvalue()


def test_the_default_stream_is_read():
    """The second of three, by its disposition; any other by its number."""
    content = write_streams((32, 32), (48, 32), (64, 32), defaults=[1])
    assert read_size(content) == (48, 32)
    assert [read_size(content, stream=n) for n in range(3)] == [(32, 32), (48, 32), (64, 32)]


def test_a_stream_that_is_not_there():
    """The message says how many there are."""
    with pytest.raises(NoVideoStreamError, match=r"stream is 1, but the file has 1"):
        read_size(write_streams((32, 32)), stream=1)


@pytest.mark.parametrize(
    "text",
    [
        "#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:4,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n",
        "ffconcat version 1.0\nfile '/etc/passwd'\n",
        "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\n",
        '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011"><Period/></MPD>',
        "[playlist]\nFile1=/etc/passwd\n",
        "just a text " * 100,
    ],
)
def test_lists_and_texts_are_no_videos(text):
    """Whatever they point to isn't opened."""
    with pytest.raises(NotAVideoError, match="no video of the formats"):
        read_size(text.encode())


@pytest.mark.parametrize(
    "text",
    [
        "#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:4,\n{url}\n#EXT-X-ENDLIST\n",
        "ffconcat version 1.0\nfile '{url}'\n",
        '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011"><Period><BaseURL>{url}</BaseURL></Period></MPD>',
        "{url}\n",
    ],
)
def test_no_protocol_is_spoken(text):
    """A server waits where the list points to, and nobody comes."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        url = f"http://127.0.0.1:{server.getsockname()[1]}/clip.ts"
        with pytest.raises(NotAVideoError):
            read_index(io.BytesIO(text.format(url=url).encode()), max_pixels=10**7)
        with pytest.raises(BlockingIOError):
            server.accept()


@pytest.mark.parametrize("image_format", ["PNG", "JPEG", "GIF", "WEBP"])
def test_pictures_are_no_videos(image_format):
    """FFmpeg would read them as one."""
    file = io.BytesIO()
    Image.new("RGB", (64, 48)).save(file, image_format)
    with pytest.raises(NotAVideoError):
        read_size(file.getvalue())


def test_nothing_is_no_video():
    """A file of zero bytes."""
    with pytest.raises(EmptyMediaError):
        read_size(b"")


def test_only_sound():
    """The message names what there is."""
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as container:
        stream = container.add_stream("aac", rate=44100)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 44100
        container.mux([*stream.encode(frame), *stream.encode()])
    with pytest.raises(NoVideoStreamError, match="it has audio"):
        read_size(file.getvalue())


@pytest.mark.parametrize("suffix", ["mp4", "matroska", "avi", "asf", "flv", "ogg"])
@pytest.mark.parametrize("kept_bytes", [60, 200])
def test_broken_headers_are_damage(suffix, kept_bytes):
    """What begins like a video is one, damaged."""
    begins = {"flv": b"FLV\1\1\0\0\0\x09" + b"\xff" * 400, "ogg": b"OggS" + bytes(400)}
    content = begins.get(suffix) or write_streams((64, 48), suffix=suffix)
    with pytest.raises((DamagedVideoError, NoVideoStreamError)):
        read_index(io.BytesIO(content[:kept_bytes]), max_pixels=10**7)


def test_a_codec_that_nobody_knows():
    """The container is a video's, its codec has no decoder."""
    content = write_streams((64, 48)).replace(b"V_MPEG4", b"V_NOTES")
    with pytest.raises(NotAVideoError, match="no decoder here"):
        read_index(io.BytesIO(content), max_pixels=10**7)


@pytest.mark.parametrize("suffix", ["mov", "avi", "matroska"])
def test_large_frames_are_refused_before_they_are_decoded(suffix):
    """By the header where the container has one; else FFmpeg's own decoding stops there."""
    content = write_streams((640, 480), suffix=suffix)
    with pytest.raises((TooManyPixelsError, DamagedVideoError), match=r"media\.max_pixels = 300,000"):
        read_size(content, max_pixels=300_000)
    assert read_size(content, max_pixels=640 * 480) == (640, 480)


@pytest.mark.data
@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("audio_only.mp4", NoVideoStreamError),
        ("empty.mp4", EmptyMediaError),
        ("text_named.mp4", NotAVideoError),
    ],
)
def test_the_pack_s_broken_files(data_pack, name, error):
    """Each for its own reason."""
    with pytest.raises(error):
        read_size((data_pack / "videos" / name).read_bytes())
