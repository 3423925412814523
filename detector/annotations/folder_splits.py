"""Splits that folders tell: ``train/``, ``valid/``, ``test/``, as exports of other tools have them.

Owns the folders' names. Refuses to see a split where only one of them is there. Opens no files.
"""

import re
from collections.abc import Mapping

from detector.annotations.dataset import Dataset
from detector.annotations.frame_names import parse_clip
from detector.annotations.picture_facts import PictureFacts
from detector.annotations.split_manifest import SplitRow

_SPLIT_NAMES = re.compile(r"(?P<train>train(ing)?)|(?P<val>val(id(ation)?)?)|(?P<test>test(ing)?)")


def find_split_folder(image: str) -> str | None:
    """Find which split the folders of a path (relative, with slashes) name: train, val, test, or None.

    >>> find_split_folder("Valid/images/a.jpg"), find_split_folder("images/train.jpg")
    ('val', None)
    """
    for folder in image.split("/")[:-1]:
        found = _SPLIT_NAMES.fullmatch(folder.lower())
        if found is not None:
            return found.lastgroup
    return None


def list_folder_split(dataset: Dataset, facts: Mapping[str, PictureFacts]) -> list[SplitRow]:
    """List a row for each picture in a split's folder, as a manifest would; none unless two splits are there.

    Frames of one clip are a group. A picture that nobody has read stands for itself alone.
    """
    splits: dict[str, str | None] = {}  # of folders: most pictures share theirs with others
    rows = []
    for position, image in enumerate(dataset.columns.images):
        folder = (image or "").rpartition("/")[0]
        split = (
            splits[folder] if folder in splits else splits.setdefault(folder, find_split_folder(f"{folder}/"))
        )
        if image is not None and split is not None:
            fact = facts.get(image)
            digest = (fact.sha256 if fact is not None else None) or image
            labels = tuple(sorted({box.label for box in dataset.annotations[position].boxes}))
            rows.append(SplitRow(image, split, parse_clip(image) or image, labels, digest))
    return rows if len({row.split for row in rows}) > 1 else []
