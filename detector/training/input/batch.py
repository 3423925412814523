"""What the input gives and the loop takes: one batch of canvases with their boxes.

Owns the type and its shapes. Imports nothing heavy.
"""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Batch:
    """One batch of TensorFlow tensors; see ``families.family`` for the boxes' convention.

    ``pixels`` float32 [B, S, S, 3], RGB 0 to 255; ``boxes_yxyx_norm`` float32 [B, M, 4] of the canvas, padded
    with zeros to the M of the whole run; ``class_ids`` int32 [B, M] from 1, 0 for padding; ``examples`` int32
    [B]: positions in the list of examples that the pictures come from (of a mosaic: the first).
    """

    pixels: Any
    boxes_yxyx_norm: Any
    class_ids: Any
    examples: Any
