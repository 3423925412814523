"""One training step: losses, gradients, the optimizer, the average of the weights.

Owns the optimizer and the traced step. Which layers learn is decided here, once a phase: frozen layers keep
their BatchNorm statistics, too.
"""

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from detector.training.families.family import Detector, Tensors
from detector.training.fit.averaging import WeightAverage
from detector.training.input.batch import Batch
from detector.training.train_settings import FitSettings

Step = Callable[[Tensors, Tensors, Tensors], dict[str, Tensors]]

_NOT_DECAYED = ["bias", "gamma", "beta"]
_SGD_MOMENTUM = 0.9


class Stepper:
    """A detector with its optimizer, step after step.

    ``step`` counts the steps done, ``set_phase`` chooses what learns; ``variables`` are those of a checkpoint
    in a fixed order.
    """

    def __init__(self, detector: Detector, settings: FitSettings) -> None:
        self.detector, self._settings = detector, settings
        self._optimizer = _make_optimizer(detector, settings)
        self._learning = list(detector.model.trainable_variables)
        self._optimizer.build(self._learning)
        self.average = WeightAverage(detector.model.variables, settings.ema_decay)
        self.step = tf.Variable(0, dtype=tf.int64, trainable=False)
        self._run: Step | None = None
        self._is_frozen: bool | None = None
        _set_momentum(detector.model, settings.batch_norm_momentum)

    @property
    def optimizer_variables(self) -> list[Any]:
        """List the optimizer's own variables."""
        return list(self._optimizer.variables)

    def set_phase(self, *, backbone_frozen: bool) -> None:
        """Freeze or free the backbone; its first ``frozen_stages`` stay frozen."""
        if backbone_frozen == self._is_frozen:
            return
        for number, stage in enumerate(self.detector.backbone_stages):
            for layer in stage:
                layer.trainable = not backbone_frozen and number >= self._settings.frozen_stages
        self._is_frozen = backbone_frozen
        learning = list(self.detector.model.trainable_variables)
        self._run = tf.function(
            self._build_step(learning), autograph=False, jit_compile=self._settings.xla or None
        )

    def take(self, batch: Batch, learning_rate: float) -> dict[str, Tensors]:
        """Take one step; returns the losses as tensors, their sum as ``loss``, before the step."""
        if self._run is None:
            raise RuntimeError("set_phase comes before the first step")
        self._optimizer.learning_rate.assign(learning_rate)
        return self._run(batch.pixels, batch.boxes_yxyx_norm, batch.class_ids)

    def _build_step(self, learning: list[Any]) -> Step:
        detector, optimizer, slow = self.detector, self._optimizer, self._list_slow(learning)
        scale = getattr(optimizer, "scale_loss", None) or getattr(optimizer, "get_scaled_loss", None)

        def run(pixels: Tensors, boxes_yxyx_norm: Tensors, class_ids: Tensors) -> dict[str, Tensors]:
            targets = detector.encode_targets(boxes_yxyx_norm, class_ids)
            with tf.GradientTape() as tape:
                losses = dict(detector.compute_losses(pixels, targets, training=True))
                total = tf.add_n([tf.cast(loss, tf.float32) for loss in losses.values()])
                scaled = total if scale is None else scale(total)
            gradients = tape.gradient(scaled, learning)
            before = [tf.identity(variable) for variable in slow]
            optimizer.apply_gradients(
                [
                    (gradient, variable)
                    for gradient, variable in zip(gradients, learning, strict=True)
                    if gradient is not None
                ]
            )
            factor = self._settings.backbone_learning_rate
            for variable, value in zip(slow, before, strict=True):
                variable.assign(value + factor * (tf.convert_to_tensor(variable) - value))
            self.average.update(self.step.assign_add(1))
            return losses | {"loss": total}

        return run

    def _list_slow(self, learning: list[Any]) -> list[Any]:
        """List the backbone's variables, where they take shorter steps than the rest."""
        if self._settings.backbone_learning_rate == 1:
            return []
        stages = self.detector.backbone_stages
        own = {id(v) for stage in stages for layer in stage for v in layer.trainable_variables}
        return [variable for variable in learning if id(variable) in own]


def _make_optimizer(detector: Detector, settings: FitSettings) -> Any:  # noqa: ANN401 (of either Keras)
    optimizers = detector.keras.optimizers
    common: dict[str, Any] = {
        "learning_rate": settings.learning_rate,
        "weight_decay": settings.weight_decay or None,
        "global_clipnorm": settings.clip_norm,
    }
    if settings.optimizer == "sgd":
        optimizer = optimizers.SGD(momentum=_SGD_MOMENTUM, nesterov=True, **common)
    elif settings.optimizer == "adam":
        optimizer = optimizers.Adam(**common | {"weight_decay": None})
    else:
        optimizer = optimizers.AdamW(**common | {"weight_decay": settings.weight_decay})
    if settings.optimizer != "adam":
        optimizer.exclude_from_weight_decay(var_names=_NOT_DECAYED)
    if settings.precision == "mixed_float16":
        return detector.keras.mixed_precision.LossScaleOptimizer(optimizer)
    return optimizer


def _set_momentum(model: Any, momentum: float) -> None:  # noqa: ANN401 (of either Keras)
    """Make BatchNorm follow quickly: with .99 a run of 100 steps exports the statistics of its first ones."""
    for layer in _walk(model):
        if type(layer).__name__ in {"BatchNormalization", "SyncBatchNormalization"}:
            layer.momentum = momentum


def _walk(layer: Any) -> Sequence[Any]:  # noqa: ANN401 (of either Keras)
    flatten = getattr(layer, "_flatten_layers", None)
    return list(flatten()) if flatten is not None else [layer]
