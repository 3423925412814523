"""The learning rate at each step.

Owns warm-up, cosine, constant and step schedules. Knows no framework: the loop assigns the number.
"""

import math

from detector.training.train_settings import FitSettings


def compute_learning_rate(step: int, steps_per_epoch: int, settings: FitSettings) -> float:
    """Compute the rate of step ``step``, from 0.

    It rises from 0 in ``warmup_epochs``, then: cosine falls to 0 at the last step (Loshchilov and Hutter,
    SGDR, 2017, without restarts), constant stays, step falls to a tenth at each of ``decay_epochs``.

    >>> settings = FitSettings(epochs=11, warmup_epochs=1, learning_rate=1.0)
    >>> [round(compute_learning_rate(step, 10, settings), 2) for step in (0, 4, 9, 10, 60, 109)]
    [0.1, 0.5, 1.0, 1.0, 0.5, 0.0]
    """
    warmup = settings.warmup_epochs * steps_per_epoch
    if step < warmup:
        return settings.learning_rate * (step + 1) / warmup
    if settings.schedule == "step":
        passed = sum(step >= epoch * steps_per_epoch for epoch in settings.decay_epochs)
        return settings.learning_rate * 0.1**passed
    if settings.schedule == "constant":
        return settings.learning_rate
    share = (step - warmup) / max(1, settings.epochs * steps_per_epoch - warmup)
    return settings.learning_rate * (1 + math.cos(math.pi * min(1.0, share))) / 2
