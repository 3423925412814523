"""What a model found in one image, in the one form that the rest of the project sees.

Owns the type only, so that it can be imported without TensorFlow.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Detections:
    """The detections of one image, best score first.

    ``boxes_yxyx_norm`` is float32 [N, 4], (y_min, x_min, y_max, x_max) in fractions of the image that the
    model was given, not clipped; ``scores`` float32 [N]; ``class_ids`` int32 [N], the ids of label maps.
    """

    boxes_yxyx_norm: NDArray[np.float32]
    scores: NDArray[np.float32]
    class_ids: NDArray[np.int32]
