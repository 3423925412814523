"""Who becomes champion: the challenger, when the whole interval of the difference lies above zero.

Owns the decision and its words. The comparison itself, a paired bootstrap over images, is the evaluation's;
both sides are compared class by class by name, since label maps may differ in order.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from detector.errors import EvaluationError
from detector.evaluation.comparison import Comparison, compare_detectors
from detector.evaluation.results import ImageResult
from detector.evaluation.truth import ImageTruth
from detector.labels import LabelMap
from detector.training.experiment.experiments import Experiment
from detector.training.experiment.registration import ModelVersion, move_champion
from detector.training.train_settings import Metric, TrackingSettings


@dataclass(frozen=True)
class LabelledTruth:
    """The images that both sides were tried on, and the names of their class ids."""

    labels: LabelMap
    truths: Sequence[ImageTruth]


@dataclass(frozen=True)
class SideResults:
    """What one side found in those images, with the label map of its own package."""

    labels: LabelMap
    results: Sequence[ImageResult]


@dataclass(frozen=True)
class Promotion:
    """The decision, and ``why`` in a sentence; ``comparison`` is None where there was no champion.

    ``unknown_labels`` are classes in the truth that the champion has no name for.
    """

    promote: bool
    why: str
    comparison: Comparison | None
    unknown_labels: tuple[str, ...] = ()

    def describe(self) -> list[str]:
        """Tell the decision and its figures, for a terminal."""
        lines = [f"{'promoted' if self.promote else 'not promoted'}: {self.why}"]
        if self.comparison is not None:
            lines.append(describe_comparison(self.comparison))
        if self.unknown_labels:
            lines.append(f"the champion has no class named {', '.join(self.unknown_labels)}")
        return lines


def decide_promotion(
    tracking: TrackingSettings,
    metric: Metric,
    truth: LabelledTruth,
    challenger: SideResults,
    champion: SideResults | None,
    *,
    random: np.random.Generator,
) -> Promotion:
    """Decide by ``tracking.promote``; without a champion, ``if_better`` promotes.

    The comparison is made whenever there is a champion, also where it decides nothing. Raises
    ``EvaluationError`` where the results are of other images.
    """
    if champion is None:
        promote = tracking.promote != "never"
        return Promotion(promote, f"there is no champion yet, {_name_rule(tracking)}", None)
    comparison = compare_detectors(
        truth.truths,
        renumber_results(champion, truth.labels),
        renumber_results(challenger, truth.labels),
        random=random,
        metric=metric,
        resamples=tracking.resamples,
        confidence=tracking.confidence,
    )
    known = set(champion.labels.names.values())
    unknown = tuple(name for name in truth.labels.names.values() if name not in known)
    promote = tracking.promote == "always" or (tracking.promote == "if_better" and comparison.is_better)
    return Promotion(promote, _explain(tracking, comparison), comparison, unknown)


def apply_promotion(experiment: Experiment, challenger: ModelVersion, promotion: Promotion) -> None:
    """Move the alias where the decision says so; raises ``ModelError`` when the registry can't."""
    if promotion.promote:
        move_champion(experiment, challenger)


def describe_comparison(comparison: Comparison) -> str:
    """Tell both figures, the difference and its interval in a line."""
    c = comparison
    figures = f"champion {c.champion:.3f}, challenger {c.challenger:.3f}, difference {c.difference:+.3f}"
    interval = f"{c.confidence:.0%} interval {c.low:+.3f} to {c.high:+.3f}"
    basis = f"{c.images} images, {c.resamples} resamples, ahead in {c.share_better:.0%}"
    return f"{c.metric}: {figures}, {interval} ({basis})"


def renumber_results(side: SideResults, labels: LabelMap) -> list[ImageResult]:
    """Give a side's results the class ids that ``labels`` has for the same names.

    Detections of a class that ``labels`` has no name for are left out: nobody looked for such objects. Where
    the side has no label map at all, its ids are taken as they are.
    """
    if not side.labels.names:
        return list(side.results)
    ids = _match_ids(side.labels, labels)
    return [_renumber(result, ids) for result in side.results]


def _match_ids(given: LabelMap, wanted: LabelMap) -> dict[int, int]:
    by_name = {name: class_id for class_id, name in wanted.names.items()}
    if len(by_name) < len(wanted.names):
        raise EvaluationError("the label map gives one name to two classes: they can't be told apart by name")
    return {class_id: by_name[name] for class_id, name in given.names.items() if name in by_name}


def _renumber(result: ImageResult, ids: Mapping[int, int]) -> ImageResult:
    kept = np.array([class_id in ids for class_id in result.class_ids.tolist()], np.bool_)
    return replace(
        result,
        boxes_xyxy_px=result.boxes_xyxy_px[kept],
        scores=result.scores[kept],
        class_ids=np.array([ids[class_id] for class_id in result.class_ids[kept].tolist()], np.int64),
    )


def _explain(tracking: TrackingSettings, comparison: Comparison) -> str:
    interval = f"{comparison.confidence:.0%} interval of the difference"
    if tracking.promote != "if_better":
        return _name_rule(tracking)
    if comparison.is_better:
        return f"the whole {interval} is above 0"
    if comparison.high < 0:
        return f"the whole {interval} is below 0: the champion is better"
    return f"the {interval} reaches down to {comparison.low:+.3f}: these images don't tell which is better"


def _name_rule(tracking: TrackingSettings) -> str:
    return f"tracking.promote is {tracking.promote}"
