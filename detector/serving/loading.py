"""A scorer made ready to serve: TensorFlow started, the model loaded and warm, threads waiting.

Owns how many copies work at once and with how many threads. Takes seconds to minutes; refuses a model that
fails on a black picture.
"""

import numpy as np

from detector.errors import ModelError, PredictionError
from detector.models.predictor import Predictor, load_predictor, start_tensorflow
from detector.scoring.scorer import Scorer
from detector.serving.batching import Batcher
from detector.serving.decoding import ContentDecoder
from detector.serving.metrics import Metrics
from detector.serving.serve_settings import ServeSettings, count_cores
from detector.serving.service import Service

_MOST_MODELS = 4
_USUAL_HW = (480, 640)


def load_service(scorer: Scorer, settings: ServeSettings, metrics: Metrics) -> Service:
    """Load the model and give the service on it, warm.

    Raises ``ModelError`` where TensorFlow can't load it or it fails on a black picture, and
    ``InstallationError`` where the GPU isn't there.
    """
    cores = count_cores(settings.cores)
    models = settings.models or (min(cores, _MOST_MODELS) if settings.gpu is None else 1)
    decoder = ContentDecoder(scorer, settings)  # first: its processes start while the model loads
    # One thread a copy: a picture costs less time of cores than with all of them on each operation.
    start_tensorflow(threads=max(1, cores // models), gpu=settings.gpu, calls=models)
    loaded = load_predictor(scorer.path, scorer.signature, scorer.settings)
    predictors = [loaded.share() for _ in range(models)]
    _warm(predictors[0], scorer)
    batcher = Batcher(
        predictors,
        wait_s=settings.batch_wait_ms / 1000,
        queue_bytes=settings.queue_bytes,
        watch=metrics.count_batch,
    )
    return Service(
        decoder,
        batcher,
        scorer.labels,
        metrics,
        decode_threads=settings.decode_threads or cores + 1,
        queue_length=settings.queue_length,
    )


def _warm(predictor: Predictor, scorer: Scorer) -> None:
    """Run every size of batch once: the first run of each takes long."""
    hw = predictor.canvas_hw or _USUAL_HW
    black = predictor.prepare(np.zeros((*hw, 3), np.uint8))
    sizes = {min(predictor.batch_size, 1 << power) for power in range(predictor.batch_size.bit_length() + 1)}
    try:
        for size in sorted(sizes):
            predictor.predict([black] * size, [hw] * size)
    except PredictionError as error:
        raise ModelError(f"{scorer.path}: on {hw[1]} x {hw[0]} black pixels, {error}") from error
