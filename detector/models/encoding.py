"""An image as one input of a model: its pixels, or an encoding for a model that decodes itself.

Owns the encodings. Imports little, since the processes that decode encode, too: neither TensorFlow, except
for tf.train.Example messages, nor settings.
"""

from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from detector.errors import PredictionError

InputKind = Literal["image", "encoded", "tf_example"]
Pixels = NDArray[np.uint8] | bytes

_FAST_COMPRESSION = [cv2.IMWRITE_PNG_COMPRESSION, 1]  # decoded again at once: speed over size


def prepare_image(image: NDArray[np.uint8], kind: InputKind) -> Pixels:
    """Turn a uint8 [H, W, 3] RGB image into what one image of a batch is: itself, or a lossless encoding.

    Encoded images are PNG; a tf.train.Example holds the PNG, its format, height and width. Raises
    ``PredictionError`` when the image can't be encoded.
    """
    if kind == "image":
        return image
    png = encode_png(image)
    return png if kind == "encoded" else build_example(png, image.shape[0], image.shape[1])


def encode_png(image: NDArray[np.uint8]) -> bytes:
    """Encode a uint8 [H, W, 3] RGB image as PNG. Raises ``PredictionError`` when that fails."""
    done, png = cv2.imencode(".png", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), _FAST_COMPRESSION)
    if not done:
        raise PredictionError(f"an image of shape {image.shape} can't be encoded as PNG for the model")
    return bytes(png)


def build_example(png: bytes, height_px: int, width_px: int) -> bytes:
    """Build a serialised tf.train.Example with the PNG, its format, height and width."""
    from tensorflow.train import BytesList, Example, Feature, Features, Int64List

    def hold_int(value: int) -> Any:  # noqa: ANN401 (a generated message)
        return Feature(int64_list=Int64List(value=[value]))

    features = {
        "image/encoded": Feature(bytes_list=BytesList(value=[png])),
        "image/format": Feature(bytes_list=BytesList(value=[b"png"])),
        "image/height": hold_int(height_px),
        "image/width": hold_int(width_px),
    }
    serialised: bytes = Example(features=Features(feature=features)).SerializeToString()
    return serialised
