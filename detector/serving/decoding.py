"""Encoded bytes to a frame that the model takes: the one step that touches what strangers send.

Owns how the server decodes: as the batch job does, in limited processes, so that a picture that crashes a
decoder, hangs it or eats its memory is one refused request. Asked from many threads at once.
"""

from detector.media.filesystem import build_access
from detector.scoring.decoders import build_limits, build_loader, open_decoders
from detector.scoring.loader import finish_frame, read_frame
from detector.scoring.pipeline import LoadedFrame
from detector.scoring.scorer import Scorer
from detector.serving.serve_settings import ServeSettings
from detector.settings import MediaSettings


class ContentDecoder:
    """Decodes pictures for one model."""

    def __init__(self, scorer: Scorer, settings: ServeSettings) -> None:
        loader = build_loader(scorer, build_access([]), MediaSettings(max_pixels=settings.max_pixels))
        self._ask = open_decoders(loader, build_limits(settings))
        self._kind = scorer.signature.input.kind

    def load_content(self, content: bytes) -> LoadedFrame:
        """Decode one picture for the model; raises ``MediaError`` where it can't."""
        ((facts, pixels),) = self._ask(content, len(content))
        return finish_frame(read_frame(facts, pixels), self._kind)
