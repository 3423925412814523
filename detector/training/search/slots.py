"""Places for trials: one for each GPU, or as many as the settings say.

Owns which GPU a trial's process sees. A process sees one, under its UUID; on a machine without GPUs the
environment stays as it is.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from detector.training.experiment.environment import Gpu


@dataclass(frozen=True)
class Slot:
    """A place for one trial at a time."""

    number: int
    gpu: Gpu | None

    @property
    def environment(self) -> dict[str, str]:
        """Give the variables that a trial's process gets beside its parent's."""
        return {} if self.gpu is None else {"CUDA_VISIBLE_DEVICES": self.gpu.uuid}


def build_slots(gpus: Sequence[Gpu], parallel: int | None) -> list[Slot]:
    """Build ``parallel`` slots, by default one for each GPU and one where there is none; GPUs take turns.

    >>> gpus = [Gpu("0", "GPU-a", "A"), Gpu("1", "GPU-b", "B")]
    >>> [slot.environment for slot in build_slots(gpus, 3)]
    [{'CUDA_VISIBLE_DEVICES': 'GPU-a'}, {'CUDA_VISIBLE_DEVICES': 'GPU-b'}, {'CUDA_VISIBLE_DEVICES': 'GPU-a'}]
    """
    count = parallel or max(1, len(gpus))
    return [Slot(number, gpus[number % len(gpus)] if gpus else None) for number in range(count)]
