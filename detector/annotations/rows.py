"""What annotation files say, gathered file by file into a few arrays, here or in another process.

Owns the arrays while they grow, and the codes of names. Refuses to know which files they were; opens none.
"""

from array import array
from collections.abc import Iterable
from dataclasses import dataclass, field

from detector.annotations.problems import Problem

FLAGS = ("difficult", "truncated", "occluded")
UNKNOWN = -1  # a size or a line that is not told

Edges = tuple[float, float, float, float]
BoxRow = tuple[str, Edges, bool, bool, bool, str, int | None]  # the fields of a Box, in its order


class AnnotationRows:
    """Annotations and their boxes, in the order in which they were added."""

    def __init__(self) -> None:
        self.sizes, self.verified, self.counts = array("q"), array("b"), array("q")
        self.edges, self.flags, self.lines = array("d"), array("b"), array("i")
        self.label, self.pose = array("i"), array("i")
        self.labels: dict[str, int] = {}
        self.poses: dict[str, int] = {}

    def add(
        self, boxes: Iterable[BoxRow], width_px: int | None, height_px: int | None, *, verified: bool
    ) -> None:
        """Add one annotation."""
        before = len(self.lines)
        for label, edges, difficult, truncated, occluded, pose, line in boxes:
            self.label.append(self.labels.setdefault(label, len(self.labels)))
            self.edges.extend(edges)
            self.flags.extend((difficult, truncated, occluded))
            self.pose.append(self.poses.setdefault(pose, len(self.poses)))
            self.lines.append(UNKNOWN if line is None else line)
        self.counts.append(len(self.lines) - before)
        self.sizes.append(UNKNOWN if width_px is None else width_px)
        self.sizes.append(UNKNOWN if height_px is None else height_px)
        self.verified.append(verified)

    def extend(self, others: "AnnotationRows") -> None:
        """Add all annotations of ``others``, which may have other codes for the same names."""
        for name in ("sizes", "verified", "counts", "edges", "flags", "lines"):
            getattr(self, name).extend(getattr(others, name))
        labels = [self.labels.setdefault(label, len(self.labels)) for label in others.labels]
        poses = [self.poses.setdefault(pose, len(self.poses)) for pose in others.poses]
        self.label.extend(map(labels.__getitem__, others.label))
        self.pose.extend(map(poses.__getitem__, others.pose))


@dataclass(slots=True)
class FileRows:
    """What some annotation files say, and what is wrong with them; ``refused`` ones have no row."""

    rows: AnnotationRows = field(default_factory=AnnotationRows)
    refused: set[str] = field(default_factory=set)
    problems: list[Problem] = field(default_factory=list)

    def extend(self, others: "FileRows") -> None:
        """Add what other files say."""
        self.rows.extend(others.rows)
        self.refused |= others.refused
        self.problems += others.problems
