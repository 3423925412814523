"""A folder of everything that may lie in one: damaged pictures by the hundred, odd names, links, pipes, secrets."""

import io
import os
import random
import socket
import stat
from pathlib import Path

import av
import numpy as np
from PIL import Image, PngImagePlugin

from detector.annotations.shapes import draw_picture

CANARY = "CANARY"  # begins every secret that is planted, and nothing else
PLACE = f"{CANARY}gps52N13E"
SCORED_NAMES = (
    ".jpg",
    ".jpeg",
    ".png",
    ".webp",
    ".bmp",
    ".tif",
    ".tiff",
    ".gif",
    ".avif",
    ".pgm",
    ".ppm",
    ".mp4",
)
ODD_NAMES = (
    "a\nb.jpg", "tab\t.jpg", "quote'\".jpg", "per%20cent.jpg", "what?.jpg", "st*r.jpg", "[x].jpg", "back\\slash.jpg",
    "-rf.jpg", " .jpg", "ünïcödé.jpg", "u\u0308.jpg", "\u202egpj.jpg", "雪.jpg", "😀.jpg", "a;b&c.jpg", "$(id).jpg", "`.JPG",
    "l" * 251 + ".jpg", "#.jpg", "s3:a.jpg", "x=1&sig=2.jpg",
)  # fmt: skip


def encode_all():
    """Encode a drawn picture with a place and comments that are nobody's business: bytes by name."""
    pixels, _, _ = draw_picture(np.random.default_rng(77), height_px=96, width_px=128)
    picture = Image.fromarray(pixels)
    exif = Image.Exif()
    exif[270], exif[315] = f"{CANARY}description", f"{CANARY}artist"
    exif.get_ifd(0x8825).update({1: "N", 2: (52.0, 31.0, 12.0), 27: PLACE.encode(), 28: PLACE.encode()})
    text = PngImagePlugin.PngInfo()
    text.add_text("Comment", f"{CANARY}text")
    made = {}
    for name, image_format, options in (
        ("baseline.jpg", "JPEG", {"comment": f"{CANARY}comment".encode()}),
        ("progressive.jpg", "JPEG", {"progressive": True}),
        ("a.png", "PNG", {"pnginfo": text}),
        ("a.webp", "WEBP", {}),
        ("a.tif", "TIFF", {"compression": "tiff_deflate"}),
    ):
        file = io.BytesIO()
        picture.save(file, image_format, exif=exif, **options)
        made[name] = file.getvalue()
    made["a.ppm"] = b"P6\n# " + PLACE.encode() + b"\n128 96\n255\n" + pixels.tobytes()
    return made


def damage_all(folder, seed):
    """Write 300 damaged files, truncated and with flipped bits; give the names of the cut baseline JPEGs."""
    rng, whole = random.Random(seed), encode_all()
    folder.mkdir()
    cut_baseline = []
    for number in range(120):
        content = whole["baseline.jpg"]
        name = f"cut{number:03d}.jpg"
        (folder / name).write_bytes(
            content[: rng.randrange(1, len(content) - 2)]
        )  # more than the end mark is gone
        cut_baseline.append(name)
    others = [name for name in whole if name != "baseline.jpg"]
    for number in range(60):
        name = others[number % len(others)]
        content = whole[name]
        (folder / f"cut{number:03d}_{name}").write_bytes(content[: rng.randrange(1, len(content))])
    for number in range(120):
        name = list(whole)[number % len(whole)]
        content = bytearray(whole[name])
        for _ in range(rng.randint(1, 8)):
            content[rng.randrange(len(content) if rng.random() < 0.5 else 400)] ^= 1 << rng.randrange(8)
        (folder / f"flip{number:03d}_{name}").write_bytes(content)
    (folder / "header.ppm").write_bytes(b"P6 " + PLACE.encode() * 3 + b" 96 255 ")
    return cut_baseline


def write_clip(path, *, bytes_kept):
    """Write a clip with a place in its metadata, cut off."""
    with av.open(str(path), "w", options={"movflags": "faststart"}) as container:
        container.metadata.update({"comment": f"{CANARY}clip", "location": PLACE, "title": PLACE})
        stream = container.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        rng = np.random.default_rng(0)
        for _ in range(20):
            frame = av.VideoFrame.from_ndarray(rng.integers(0, 255, (64, 64, 3), np.uint8), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * bytes_kept)])


def make_tree(top):
    """Make ``top``/inside with odd entries, and ``top``/outside, to which links lead; give both."""
    inside, outside, jpeg = top / "inside", top / "outside", encode_all()["baseline.jpg"]
    for folder in (inside / "deep" / "er", inside / ".git" / "x", outside / "album"):
        folder.mkdir(parents=True)
    for folder in (outside, outside / "album"):
        (folder / "private.jpg").write_bytes(jpeg)
    for name in ODD_NAMES:
        (inside / name).write_bytes(jpeg)
    for path in (
        ".hidden.jpg",
        ".git/x/a.jpg",
        "deep/.b.jpg",
        "deep/er/c.jpg",
        "deep/notes.txt",
        "no_extension",
    ):
        (inside / path).write_bytes(jpeg)
    (inside / "secret.txt").write_text(PLACE)
    (inside / "empty.jpg").touch()
    os.link(inside / "[x].jpg", inside / "deep" / "hard_link.jpg")
    Path(os.fsdecode(os.fsencode(inside) + b"/\xff.jpg")).write_bytes(jpeg)
    long = inside
    for _ in range(12):
        long /= "d" * 200
        long.mkdir()
    (long / "far_below.jpg").write_bytes(jpeg)
    for name, target in {
        "link.jpg": "[x].jpg", "out.jpg": str(outside / "private.jpg"), "up.jpg": "../outside/private.jpg",
        "album": str(outside / "album"), "up": "../outside", "nothing.jpg": "gone", "circle.jpg": "circle.jpg",
        "self": ".", "passwd.jpg": "/etc/passwd", "zero.jpg": "/dev/zero", "deep/root": "/",
    }.items():  # fmt: skip
        (inside / name).symlink_to(target)
    os.mkfifo(inside / "pipe.jpg")
    with socket.socket(socket.AF_UNIX) as server:
        before = Path.cwd()
        os.chdir(inside)  # a socket's path may be 107 bytes long
        server.bind("socket.jpg")
        os.chdir(before)
    if os.geteuid() == 0:
        make_device(inside / "device.jpg")
    else:
        (inside / "locked.jpg").write_bytes(jpeg)
        (inside / "locked.jpg").chmod(0)
        (inside / "locked").mkdir(mode=0)
    write_clip(inside / "half.mp4", bytes_kept=0.6)
    write_clip(inside / "header.mp4", bytes_kept=0.02)
    return inside, outside


def make_device(path):
    """Make a device that gives zeros for ever, where that may be done."""
    try:
        os.mknod(path, stat.S_IFCHR | 0o600, os.makedev(1, 5))
    except PermissionError:
        return  # a container without the right to


def walk(top):
    """List what lies below ``top`` by os.walk and rules of its own: media_uri, and what may become of it."""
    expected = {}
    unreadable = []
    for folder, folders, files in os.walk(top, onerror=lambda error: unreadable.append(error.filename)):
        links = [name for name in folders if os.path.islink(os.path.join(folder, name))]  # noqa: PTH114, PTH118
        for name in [*files, *links]:
            path = Path(folder, name)
            expected[show_name(path)] = judge(path, top)
    return expected | {folder: {("skipped", "unreadable_folder")} for folder in unreadable}


def show_name(path):
    """Give a path as the tables show it: bytes that are no UTF-8 as %FF."""
    return "".join(f"%{ord(c) - 0xDC00:02X}" if 0xDC80 <= ord(c) <= 0xDCFF else c for c in str(path))


def judge(path, top):
    """Tell which (status, error_class) an entry may get, None as a class being any."""
    status = path.lstat()
    rules = (
        (any(part.startswith(".") for part in path.relative_to(top).parts), "skipped", "hidden"),
        (stat.S_ISLNK(status.st_mode), "skipped", "symlink"),
        (not stat.S_ISREG(status.st_mode), "skipped", "not_a_file"),
        (show_name(path) != str(path), "skipped", "name_not_utf8"),
        (not path.name.lower().endswith(SCORED_NAMES), "skipped", "not_included"),
        (status.st_size == 0, "failed", "EmptyMedia"),
        (not os.access(path, os.R_OK), "failed", "UnreadableMedia"),
    )
    first = next(((what, why) for applies, what, why in rules if applies), None)
    return {("scored", None), ("failed", None)} if first is None else {first}
