"""Encoded bytes to a frame that the model takes: the one step that touches what strangers send.

Owns the seam: the server knows ``ContentDecoder`` alone, so that a pool of limited processes can stand
where threads do now. Called from many threads at once.
"""

import hashlib
from dataclasses import dataclass
from typing import Protocol

from detector.media.decoding import decode_image
from detector.models.predictor import Predictor
from detector.scoring.pipeline import LoadedFrame, MediaFacts


class ContentDecoder(Protocol):
    """What the server asks of a decoder."""

    def load_content(self, content: bytes) -> LoadedFrame:
        """Decode one picture for the model; raises ``MediaError`` where it can't."""


@dataclass(frozen=True)
class ThreadDecoder:
    """Decodes in the calling thread, as the batch job does."""

    predictor: Predictor
    max_pixels: int

    def load_content(self, content: bytes) -> LoadedFrame:
        """Decode one picture for the model; raises ``MediaError`` where it can't."""
        decoded = decode_image(content, max_pixels=self.max_pixels, canvas_hw=self.predictor.canvas_hw)
        height, width = decoded.pixels.shape[:2]
        facts = MediaFacts(decoded.width_px, decoded.height_px, hashlib.sha256(content).hexdigest())
        return LoadedFrame(self.predictor.prepare(decoded.pixels), (height, width), decoded.letterbox, facts)
