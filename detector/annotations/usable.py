"""Which pictures training and evaluation can use.

Owns the one rule that the checks, the split and training share. Opens no files.
"""

from collections.abc import Iterator, Mapping

from detector.annotations.dataset import Annotation, Dataset
from detector.annotations.picture_facts import PictureFacts


def list_usable(
    dataset: Dataset, facts: Mapping[str, PictureFacts], *, unannotated_is_background: bool
) -> Iterator[Annotation]:
    """List the annotations whose picture is there and, as far as ``facts`` tell, decodes.

    A picture that nobody annotated is usable only as background, and only when told that it is.
    """
    for annotation in dataset.annotations:
        fact = facts.get(str(annotation.image))
        is_meant = annotation.source is not None or unannotated_is_background
        if annotation.image is not None and is_meant and (fact is None or fact.error_class is None):
            yield annotation
