"""An evaluation as text: the figures, a line for each class, the worst pictures.

Owns the order and the wording on a terminal, and the words that the page shares. Computes no figure.
"""

from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from detector.evaluation.report import ClassReport
from detector.measurement.measurement import Measurement

SHOWN_CLASSES = 40
SHOWN_PICTURES = 10
SHOWN_CONFUSIONS = 20


def print_measurement(measurement: Measurement, console: Console) -> None:
    """Print the whole evaluation, classes with most objects first."""
    for line in describe_subject(measurement):
        console.print(Text(escape(line)), soft_wrap=True)
    figures = "   ".join(f"{name} {show_figure(value)}" for name, value in list_figures(measurement))
    console.print(Text(figures, style="bold"), soft_wrap=True)
    console.print(_list_classes(measurement))
    for line in describe_confusions(measurement)[:SHOWN_PICTURES]:
        console.print(Text(escape(line)), soft_wrap=True)
    _print_pictures(measurement, console)


def describe_subject(measurement: Measurement) -> list[str]:
    """Tell which model was measured on what, and what was left out of it."""
    subject, report = measurement.subject, measurement.report
    lines = [
        f"{subject.model_name} {subject.model_version} on {subject.data}",
        f"{report.image_count:,} pictures with {report.object_count:,} objects; "
        f"{report.detection_count:,} detections of {subject.source}"
        + (f", from score {measurement.lowest_score:.3g}" if measurement.lowest_score is not None else ""),
    ]
    if report.uncounted_object_count:
        lines.append(
            f"{report.uncounted_object_count:,} objects count neither way: difficult, crowds or no area"
        )
    if measurement.left_out:
        named = ", ".join(f"{name} ({count:,})" for name, count in measurement.left_out.items())
        lines.append(f"left out, boxes of classes that the model doesn't know: {named}")
    if measurement.failures:
        lines.append(f"left out, {len(measurement.failures):,} files that can't be used:")
        lines += [f"  {name}: {why}" for name, why in list(measurement.failures.items())[:SHOWN_PICTURES]]
    return lines


def list_figures(measurement: Measurement) -> list[tuple[str, float | None]]:
    """List the figures of all classes together by their names."""
    report = measurement.report
    return [
        ("AP", report.coco.ap),
        ("AP50", report.coco.ap50),
        ("AP75", report.coco.ap75),
        ("AR100", report.coco.ar_100),
        ("VOC AP50", report.voc.ap),
        ("Open Images AP", report.open_images_ap),
    ]


def describe_confusions(measurement: Measurement) -> list[str]:
    """Tell which class was most often taken for which other one, without background."""
    return [f"{count:,} x {was} taken for {taken}" for count, was, taken in list_confusions(measurement)]


def list_confusions(measurement: Measurement) -> list[tuple[int, str, str]]:
    """List (count, object's class, detection's class) off the diagonal, the most frequent first."""
    confusion = measurement.report.confusion
    names = [measurement.name_class(class_id) for class_id in confusion.class_ids.tolist()]
    pairs = [
        (int(confusion.counts[row, column]), was, taken)
        for row, was in enumerate(names)
        for column, taken in enumerate(names)
        if row != column and confusion.counts[row, column]
    ]
    return sorted(pairs, key=lambda pair: (-pair[0], pair[1:]))[:SHOWN_CONFUSIONS]


def rank_classes(measurement: Measurement) -> list[ClassReport]:
    """List the classes, those with most objects first."""
    return sorted(measurement.report.classes, key=lambda row: (-row.objects, row.label))


def show_figure(value: float | None) -> str:
    """Write a figure between 0 and 1 as tables do, a dash for none.

    >>> show_figure(0.5), show_figure(1.0), show_figure(None)
    ('.500', '1.000', '-')
    """
    return "-" if value is None else f"{value:.3f}".removeprefix("0")


def show_threshold(row: ClassReport) -> str:
    """Write a class's best threshold with its interval, a dash for none."""
    best = row.threshold
    if best is None:
        return "-"
    return f"{show_figure(best.threshold)} ({show_figure(best.low)} to {show_figure(best.high)})"


def escape(text: str) -> str:
    """Write out what a terminal would obey."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _list_classes(measurement: Measurement) -> Table:
    names = (
        "objects",
        "AP",
        "AP50",
        "precision",
        "recall",
        "F1",
        "right",
        "wrong",
        "missed",
        "best threshold",
    )
    table = Table("class", *(Column(name, justify="right") for name in names), box=None)
    ranked = rank_classes(measurement)
    for row in ranked[:SHOWN_CLASSES]:
        counts = row.counts
        figures = (row.coco.ap, row.coco.ap50, counts.precision, counts.recall, counts.f1)
        table.add_row(
            Text(escape(row.label)),
            f"{row.objects:,}",
            *map(show_figure, figures),
            *(f"{count:,}" for count in (counts.right, counts.wrong, counts.missed)),
            show_threshold(row),
        )
    if len(ranked) > SHOWN_CLASSES:
        table.add_row(f"and {len(ranked) - SHOWN_CLASSES:,} more")
    return table


def _print_pictures(measurement: Measurement, console: Console) -> None:
    worst = [row for row in measurement.report.images[:SHOWN_PICTURES] if row.wrong or row.missed]
    for row in worst:
        line = f"{row.image}: {row.right:,} right, {row.wrong:,} wrong, {row.missed:,} missed"
        console.print(Text(escape(line)), soft_wrap=True)
    flawed = sum(1 for row in measurement.report.images if row.wrong or row.missed)
    console.print(f"{flawed:,} of {measurement.report.image_count:,} pictures have a wrong or missed box")
