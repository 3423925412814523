"""The input of training: batch after batch of augmented canvases, the same for the same seed and epoch.

Owns what an epoch is. Every picture's random numbers follow from (seed, epoch, place in the epoch) alone, so
a resumed run sees what an undisturbed one would have seen, and threads can't change anything. Refuses to
start without examples.
"""

import functools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from detector.errors import SettingsError
from detector.labels import LabelMap
from detector.training.input.augmentation import augment_sample
from detector.training.input.batch import Batch
from detector.training.input.canvases import Canvases
from detector.training.input.examples import Example
from detector.training.input.mosaic import MOSAIC_PICTURES
from detector.training.input.objects import Objects, gather_objects, make_sample
from detector.training.input.order import compute_repeat_factors, count_shown, draw_order
from detector.training.input.packing import BatchShape, Packed, iterate_ahead, pack_samples
from detector.training.input.sample import Sample
from detector.training.input.sheet import SHEET_PICTURES, write_sheet
from detector.training.train_settings import AugmentSettings, DataSettings, FitSettings

_ORDER = 0  # the stream of random numbers of an epoch's order; those of its pictures count from 1


class TrainingInput:
    """Batches of some examples on canvases of ``input_px``.

    ``folder`` is where ``data.cache: disk`` keeps canvases (default: the system's folder for temporary
    files). Raises ``SettingsError`` without examples, and for a cache that there is no room for.
    """

    def __init__(
        self,
        examples: Sequence[Example],
        labels: LabelMap,
        augment: AugmentSettings,
        fit: FitSettings,
        data: DataSettings,
        input_px: int,
        *,
        folder: Path | None = None,
    ) -> None:
        if not examples:
            raise SettingsError("there are no pictures to train on: look at data.root and data.split")
        self.labels = labels
        self.input_px = input_px
        self._examples, self._augment, self._fit, self._data = tuple(examples), augment, fit, data
        self._folder = folder
        self._canvases: dict[tuple[Example, ...], Canvases] = {}
        self._objects = self._gather(self._examples)
        self._factors = np.ones(len(examples))
        if fit.class_balance:
            self._factors = compute_repeat_factors([set(own.class_ids.tolist()) for own in self._objects])
        self._own_canvases = self._open_canvases(self._examples)

    @property
    def steps_per_epoch(self) -> int:
        """Count the batches of an epoch; the last one is filled up with the epoch's first pictures."""
        return -(-count_shown(self._factors) // self._fit.batch_size)

    @property
    def max_boxes(self) -> int:
        """Give the most boxes that a picture of an epoch can have, at least 1."""
        pictures = MOSAIC_PICTURES if self._augment.mosaic else 2 if self._augment.copy_paste else 1
        return max(1, pictures * max(own.count(is_one_each=self._is_one_each) for own in self._objects))

    def name_of(self, position: int) -> str:
        """Name the picture at a position of ``Batch.examples``."""
        return self._examples[position].name

    def epoch(self, number: int) -> Iterator[Batch]:
        """Give the batches of an epoch, counted from 0: shuffled, augmented, all of one shape."""
        order = draw_order(self._factors, self._seed_stream(number, _ORDER))
        shape = BatchShape(self._fit.batch_size, self.max_boxes, self.input_px)
        slots = np.resize(order, self.steps_per_epoch * shape.pictures)
        pack = functools.partial(self._pack_step, number, slots, shape)
        return iterate_ahead(pack, self.steps_per_epoch, shape, workers=self._data.workers)

    def plain_batches(self, examples: Sequence[Example]) -> Iterator[Batch]:
        """Give batches of any examples as they are, in order, with the mean box of each object.

        ``Batch.examples`` are positions in ``examples``; the last batch is filled up with empty canvases
        whose position is ``PADDING`` (-1). There are as many rows of boxes as the fullest picture has, at
        least ``max_boxes``.
        """
        chosen = tuple(examples)
        canvases, objects = self._open_canvases(chosen), self._gather(chosen)
        most = max((own.count(is_one_each=True) for own in objects), default=0)
        shape = BatchShape(self._fit.batch_size, max(self.max_boxes, most), self.input_px)

        def pack(step: int) -> Packed:
            positions = range(step * shape.pictures, min(len(chosen), (step + 1) * shape.pictures))
            samples = [make_sample(canvases.read(n), objects[n], objects[n].merge()) for n in positions]
            return pack_samples(samples, positions, shape)

        return iterate_ahead(pack, -(-len(chosen) // shape.pictures), shape, workers=self._data.workers)

    def write_sheet(self, path: Path, count: int = SHEET_PICTURES) -> None:
        """Write a picture of the first ``count`` augmented samples of epoch 0, by the file's extension."""
        write_sheet(path, self.epoch(0), self.labels, count)

    @property
    def _is_one_each(self) -> bool:
        return self._data.boxes_per_object == "one"

    def _gather(self, examples: Sequence[Example]) -> list[Objects]:
        class_ids: Mapping[str, int] = {name: class_id for class_id, name in self.labels.names.items()}
        return [gather_objects(example, class_ids, self._data, self.input_px) for example in examples]

    def _open_canvases(self, examples: tuple[Example, ...]) -> Canvases:
        if examples not in self._canvases:
            self._canvases[examples] = Canvases(
                examples,
                canvas_px=self.input_px,
                max_pixels=self._data.max_pixels,
                cache=self._data.cache,
                folder=self._folder,
            )
        return self._canvases[examples]

    def _seed_stream(self, epoch: int, stream: int) -> np.random.Generator:
        return np.random.default_rng([self._fit.seed % 2**64, epoch, stream])

    def _pack_step(self, epoch: int, slots: NDArray[np.intp], shape: BatchShape, step: int) -> Packed:
        own = slice(step * shape.pictures, (step + 1) * shape.pictures)
        positions = slots[own].tolist()
        numbered = enumerate(positions, own.start)
        samples = [self._draw_augmented(epoch, slot, position) for slot, position in numbered]
        return pack_samples(samples, positions, shape)

    def _draw_augmented(self, epoch: int, slot: int, position: int) -> Sample:
        generator = self._seed_stream(epoch, 1 + slot)

        def draw_other() -> Sample:
            return self._draw_sample(int(generator.integers(len(self._examples))), generator)

        sample = self._draw_sample(position, generator)
        return augment_sample(sample, self._augment, generator, draw_other)

    def _draw_sample(self, position: int, generator: np.random.Generator) -> Sample:
        objects, jitter = self._objects[position], self._augment.box_jitter
        drawn = objects.draw(generator, is_one_each=self._is_one_each, jitter=jitter)
        return make_sample(self._own_canvases.read(position), objects, drawn)
