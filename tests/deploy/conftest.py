"""Pictures for whole runs: drawn ones that the demo's model finds shapes in, and two that can't be decoded."""

import io

import numpy as np
import pytest
from PIL import Image

from detector.annotations.shapes import draw_picture


@pytest.fixture(scope="session")
def make_media():
    """Give a maker of a folder: ``good`` pictures, one that is cut short and an empty one."""

    def make(folder, good):
        folder.mkdir()
        for seed in range(good):
            pixels, _, _ = draw_picture(np.random.default_rng(seed), height_px=96, width_px=128)
            file = io.BytesIO()
            Image.fromarray(pixels).save(file, "JPEG", quality=90)
            (folder / f"{seed:03d}.jpg").write_bytes(file.getvalue())
        (folder / "cut.jpg").write_bytes(file.getvalue()[: len(file.getvalue()) // 2])
        (folder / "empty.jpg").touch()
        return folder

    return make
