"""What pixels come out of which bytes: orientation, frames, canvas."""

import cv2
import numpy as np
import pytest
from PIL import Image

from detector.boxes import compute_letterbox

UNDO = {  # how Pillow makes a stored picture of an upright one, per EXIF orientation
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
def test_every_exif_orientation_is_undone(
    draw_scene, encode, decode, measure_difference, *, image_format, orientation
):
    """All eight orientations of each format that carries EXIF give the upright scene."""
    scene = draw_scene()
    stored = scene if UNDO[orientation] is None else scene.transpose(UNDO[orientation])
    exif = Image.Exif()
    exif[274] = orientation
    options = {"quality": 95} if image_format in ("JPEG", "WEBP", "AVIF") else {}
    if image_format == "TIFF":
        options = {"tiffinfo": {274: orientation}}
    else:
        options["exif"] = exif
    decoded = decode(encode(stored, image_format, **options))
    assert measure_difference(decoded.pixels, np.asarray(scene)) < 4
    assert (decoded.width_px, decoded.height_px) == scene.size


@pytest.mark.parametrize("orientation", range(1, 9))
def test_canvas_holds_the_upright_scene(draw_scene, encode, decode, measure_difference, orientation):
    """The reduced decode of a turned JPEG lies upright on the canvas."""
    scene = draw_scene(960, 640)
    stored = scene if UNDO[orientation] is None else scene.transpose(UNDO[orientation])
    exif = Image.Exif()
    exif[274] = orientation
    canvas = decode(encode(stored, "JPEG", quality=95, exif=exif), canvas_hw=(96, 96))
    expected = decode(encode(scene, "PNG"), canvas_hw=(96, 96))
    assert canvas.letterbox == expected.letterbox == compute_letterbox((640, 960), (96, 96))
    assert measure_difference(canvas.pixels, expected.pixels) < 2


@pytest.mark.data
@pytest.mark.parametrize("number", [3, 6, 8])
def test_real_orientations_show_one_scene(decode, measure_difference, data_pack, number):
    """The same photo stored turned comes out as the one stored upright."""
    first, turned = (
        decode((data_pack / "images_odd" / f"Landscape_{n}.jpg").read_bytes()) for n in (1, number)
    )
    assert measure_difference(first.pixels, turned.pixels) < 5


@pytest.mark.parametrize("exif", [b"Exif\0\0II*\0", b"Exif\0\0nonsense", b"Exif\0\0MM\0*\0\0\0\x08\xff\xff"])
def test_broken_exif_does_not_fail_the_picture(draw_scene, encode, decode, exif):
    """A picture with damaged EXIF is shown as it is stored."""
    assert decode(encode(draw_scene(), "JPEG", exif=exif)).width_px == 96


@pytest.mark.data
def test_photos_equal_opencv_bit_for_bit(decode, data_pack):
    """On photos the pixels are those of cv2.imread, which reference values were made with."""
    paths = sorted((data_pack / "datasets" / "coco128_train32" / "images").glob("*.jpg"))
    different = [
        path.name
        for path in paths
        if not np.array_equal(decode(path.read_bytes()).pixels, cv2.imread(str(path))[..., ::-1])
    ]
    assert paths
    assert different == []


@pytest.mark.parametrize(
    ("image_format", "colour"), [("GIF", (255, 0, 0)), ("TIFF", (255, 0, 0)), ("PNG", (255, 0, 0))]
)
def test_first_frame_counts(encode, decode, image_format, colour):
    """Of several frames or pages the first one is decoded."""
    first, second = Image.new("RGB", (8, 8), colour), Image.new("RGB", (8, 8), (0, 0, 255))
    content = encode(first, image_format, save_all=True, append_images=[second])
    assert decode(content).pixels[0, 0].tolist() == list(colour)


def test_avif_decodes(draw_scene, encode, decode, measure_difference):
    """An AVIF shows its scene."""
    pixels = decode(encode(draw_scene(), "AVIF", quality=95)).pixels
    assert measure_difference(pixels, np.asarray(draw_scene())) < 4


@pytest.mark.parametrize(
    ("source", "canvas_hw"),
    [((960, 640), (320, 320)), ((4000, 200), (96, 96)), ((40, 30), (64, 128)), ((1, 900), (64, 64))],
)
def test_canvas_equals_full_decode_and_resize(
    draw_scene, encode, decode, measure_difference, *, source, canvas_hw
):
    """The reduced JPEG decode differs from a full one by no more than a shade; the border is black."""
    scene = np.asarray(draw_scene(*source))
    got = decode(encode(Image.fromarray(scene), "JPEG", quality=98, subsampling=0), canvas_hw=canvas_hw)
    box = compute_letterbox((source[1], source[0]), canvas_hw)
    height, width = box.content_hw
    method = cv2.INTER_AREA if source[0] > width or source[1] > height else cv2.INTER_LINEAR
    content = got.pixels[box.top : box.top + height, box.left : box.left + width]
    assert measure_difference(content, cv2.resize(scene, (width, height), interpolation=method)) < 3
    assert got.pixels.sum() == content.sum()
    assert (got.width_px, got.height_px, got.letterbox) == (*source, box)
