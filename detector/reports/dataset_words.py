"""The report of a dataset's check in words and numbers, the same on a terminal and on the page.

Owns the sentences and how values are rounded. Refuses to lay anything out.
"""

from collections.abc import Sequence

from detector.annotations.dataset_report import AnchorFit, Measure, Report

_WHOLE_FROM_PX = 100
_SHOWN_IMAGES = 10
_LEAST_SHARE = 0.0005  # less is 0.0%


def describe_counts(report: Report) -> list[str]:
    """Tell how many images and boxes there are, in a line or two."""
    images = [
        f"{report.images:,} images: {report.annotated:,} annotated",
        f"{report.background:,} background",
    ]
    if report.unannotated:
        images.append(f"{report.unannotated:,} that nobody annotated (left out)")
    if report.left_out:
        images.append(f"{report.left_out:,} annotation files that can't be used (left out)")
    flags = [
        f"{count:,} {name}"
        for name, count in (
            ("difficult", report.difficult),
            ("truncated", report.truncated),
            ("occluded", report.occluded),
        )
        if count
    ]
    boxes = (
        f"{report.boxes:,} boxes of {len(report.classes):,} class{'' if len(report.classes) == 1 else 'es'}"
    )
    return [", ".join(images), ", ".join([boxes, *flags])]


def describe_boxes(report: Report) -> list[str]:
    """Tell how anchors meet the boxes, and where several boxes are around one object."""
    lines = []
    anchors, clusters = report.anchors, report.clusters
    if anchors.boxes:
        lines.append(_describe_anchors(anchors))
    if clusters.objects:
        lines.append(
            f"{clusters.objects:,} objects have several boxes of their class (IoU above "
            f"{clusters.min_iou}): {clusters.boxes:,} boxes in {clusters.images:,} images "
            f"({_list_some(clusters.image_names)}); each object counts once in an evaluation"
        )
    return lines


def _list_some(images: Sequence[str]) -> str:
    shown = ", ".join(escape(image) for image in images[:_SHOWN_IMAGES])
    return f"{shown}, ..." if len(images) > _SHOWN_IMAGES else shown


def _describe_anchors(anchors: AnchorFit) -> str:
    (least_px, most_px), (widest, longest) = anchors.sides_px, anchors.ratios
    common = (
        f"a common anchor (sides {least_px:.0f} to {most_px:.0f} px, aspect ratios {widest:g} to "
        f"{longest:g}) by IoU {anchors.min_iou}"
    )
    if anchors.unmatched_share < _LEAST_SHARE:
        some = "nearly every" if anchors.unmatched_share else "every"
        return f"At {anchors.canvas_px} px, {some} box overlaps {common}"
    return (
        f"At {anchors.canvas_px} px, {anchors.unmatched_share:.1%} of the boxes don't overlap {common}: "
        f"{anchors.too_small_share:.1%} are too small, {anchors.too_large_share:.1%} too large, "
        f"{anchors.too_long_share:.1%} too long"
    )


def describe_verdict(report: Report) -> str:
    """Tell in one line whether the data can be trained on.

    >>> from types import SimpleNamespace
    >>> counts = {"error": 1, "warning": 0, "note": 2}
    >>> describe_verdict(SimpleNamespace(count_severities=lambda: counts, breaks_training=True))
    '1 error, 0 warnings, 2 notes: mend the errors before training'
    """
    counts = [f"{n:,} {name}{'' if n == 1 else 's'}" for name, n in report.count_severities().items()]
    advice = "mend the errors before training" if report.breaks_training else "nothing would break training"
    return f"{', '.join(counts)}: {advice}"


def describe_value(measure: Measure, value: float) -> str:
    """Write a measure's value the way people read it: pixels, a ratio, or a part in percent.

    >>> [describe_value(Measure("", unit, ()), 0.4567) for unit in ("px", "of the picture", "width / height")]
    ['0.5', '45.7%', '0.46']
    """
    if measure.unit == "px":
        return f"{value:,.0f}" if value >= _WHOLE_FROM_PX else f"{value:.1f}".removesuffix(".0")
    return f"{value:.1%}" if measure.unit == "of the picture" else f"{value:.2f}"


def quote_blanks(label: str) -> str:
    """Put a name between quotes where blanks around it would not be seen.

    >>> quote_blanks("traffic light"), quote_blanks("car ")
    ('traffic light', "'car '")
    """
    return label if label == label.strip() else f"'{label}'"


def escape(text: str) -> str:
    r"""Write out what a terminal would obey, and names may hold.

    >>> escape("red\x1b[31m")
    'red\\x1b[31m'
    """
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
