"""What a search tries: keys of the settings, and the values or the range of each.

Owns the checks made before anything starts: unknown keys and impossible values are refused by name. Values
that are fine alone and don't go together are found out by the trial that gets them.
"""

import difflib
import itertools
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from detector.errors import SettingsError
from detector.settings_sources import list_keys
from detector.training.families.registry import check_architecture
from detector.training.train_settings import Range, TrainSettings

Values = Mapping[str, Any]

MAX_GRID = 10_000
_ARCHITECTURE = "model.architecture"
# Trials are compared on the same pictures by the same figure, and belong to one search.
_FIXED = ("search", "tracking", "config", "out", "fit.metric", "model.name")
_FREE_DATA = ("data.boxes_per_object", "data.use_difficult", "data.cache", "data.workers")


@dataclass(frozen=True)
class SearchSpace:
    """Keys with what to try for each: a list of values, or a range of numbers."""

    dimensions: Mapping[str, Sequence[Any] | Range]

    def list_grid(self) -> list[dict[str, Any]]:
        """List every combination; the last key's values change fastest.

        Raises ``SettingsError`` for a range without a step, and for more than ``MAX_GRID`` combinations.
        """
        endless = next((key for key, one in self.dimensions.items() if _count_values(one) is None), None)
        if endless is not None:
            raise SettingsError(
                f"search.space: {endless}: a grid needs a list of values, or low, high and step"
            )
        if (size := self.count() or 0) > MAX_GRID:
            raise SettingsError(f"search.space has {size:,} combinations, more than {MAX_GRID:,}: use tpe")
        columns = [_list_values(dimension) for dimension in self.dimensions.values()]
        return [dict(zip(self.dimensions, row, strict=True)) for row in itertools.product(*columns)]

    def count(self) -> int | None:
        """Count the combinations; None where a range has no step, so no end of values."""
        sizes = [_count_values(dimension) for dimension in self.dimensions.values()]
        return None if None in sizes else math.prod(size for size in sizes if size is not None)

    def build_distributions(self) -> dict[str, Any]:
        """Give Optuna's distribution of each key; a list's values appear as ``encode_choice`` gives them."""
        return {key: _build_distribution(dimension) for key, dimension in self.dimensions.items()}

    def encode(self, values: Values) -> dict[str, Any]:
        """Turn values into Optuna's parameters."""
        return {
            key: value if isinstance(self.dimensions[key], Range) else encode_choice(value)
            for key, value in values.items()
        }

    def decode(self, params: Values) -> dict[str, Any]:
        """Turn Optuna's parameters into values, in the order of the space."""
        return {key: self._decode_one(key, params[key]) for key in self.dimensions if key in params}

    def _decode_one(self, key: str, param: Any) -> Any:  # noqa: ANN401 (any value of a setting)
        dimension = self.dimensions[key]
        if isinstance(dimension, Range):
            return param
        return next(value for value in dimension if _is_same(encode_choice(value), param))


def read_space(settings: TrainSettings) -> SearchSpace:
    """Check ``search.space`` against the settings and give it.

    Raises ``SettingsError`` for a key that is unknown or can't be searched, an empty list, a value given
    twice, an impossible range, and a value that the settings refuse whatever the others are.
    """
    for key, dimension in settings.search.space.items():
        _check_key(key)
        _check_dimension(key, dimension)
        for value in _list_extremes(dimension):
            _check_value(settings, key, value)
    return SearchSpace(dict(settings.search.space))


def apply_values(settings: TrainSettings, values: Values) -> TrainSettings:
    """Give the settings with these values, by dotted key, and without a search.

    Raises ``SettingsError`` where they don't go together.
    """
    try:
        return _apply(settings, values)
    except ValidationError as error:
        raise SettingsError(f"{describe_values(values)}: {_explain(error)}") from error


def describe_values(values: Values) -> str:
    """Tell values in a line.

    >>> describe_values({"fit.epochs": 3, "augment.scale": [0.5, 2]})
    'fit.epochs 3, augment.scale [0.5, 2]'
    """
    return ", ".join(f"{key} {show_value(value)}" for key, value in values.items())


def show_value(value: Any) -> str:  # noqa: ANN401 (any value of a setting)
    """Show a value, numbers with four digits that count."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def encode_choice(value: Any) -> Any:  # noqa: ANN401 (any value of a setting)
    """Give a value as Optuna stores choices: plain ones as they are, lists and mappings as JSON.

    >>> encode_choice("fcos"), encode_choice([0.5, 2])
    ('fcos', '[0.5, 2]')
    """
    return value if value is None or isinstance(value, bool | int | float | str) else json.dumps(value)


def _check_key(key: str) -> None:
    known = list_keys(TrainSettings)
    if key not in known:
        near = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
        raise SettingsError(
            f"search.space: unknown setting {key}" + (f"; did you mean {near[0]}?" if near else "")
        )
    is_data = key.startswith("data.") and key not in _FREE_DATA
    if is_data or key in _FIXED or key.partition(".")[0] in _FIXED:
        raise SettingsError(
            f"search.space: {key} can't be searched: trials must be comparable, on the same data"
        )


def _check_dimension(key: str, dimension: Sequence[Any] | Range) -> None:
    if not isinstance(dimension, Range):
        encoded = [json.dumps(value, default=str) for value in dimension]
        if not encoded or len(set(encoded)) < len(encoded):
            raise SettingsError(f"search.space: {key}: give one value or more, each once")
        return
    fault = _find_fault(dimension)
    if fault:
        raise SettingsError(f"search.space: {key}: {fault}")


def _find_fault(dimension: Range) -> str | None:
    if dimension.low > dimension.high:
        return f"low {dimension.low:g} is above high {dimension.high:g}"
    if dimension.log and (dimension.low <= 0 or dimension.step is not None):
        return "a logarithmic range begins above 0 and has no step"
    numbers = (dimension.low, dimension.high, dimension.step or 1)
    if dimension.integer and any(number != int(number) for number in numbers):
        return "low, high and step of an integer range are whole numbers"
    return None


def _check_value(settings: TrainSettings, key: str, value: object) -> None:
    if key == _ARCHITECTURE:
        check_architecture(str(value))
    try:
        _apply(settings, {key: value})
    except ValidationError as error:
        # What the key's own type refuses; what a section refuses may be right beside other values.
        own = [fault for fault in error.errors() if ".".join(map(str, fault["loc"])).startswith(key)]
        if own:
            raise SettingsError(f"search.space: {key} {show_value(value)}: {own[0]['msg']}") from error


def _apply(settings: TrainSettings, values: Values) -> TrainSettings:
    whole = settings.model_dump(exclude={"search", "config"})
    for key, value in values.items():
        *sections, name = key.split(".")
        place = whole
        for section in sections:
            place = place[section]
        place[name] = value
    return TrainSettings(**whole)


def _explain(error: ValidationError) -> str:
    return "; ".join(
        f"{'.'.join(map(str, fault['loc']))}: {fault['msg'].removeprefix('Value error, ')}"
        for fault in error.errors()
    )


def _list_extremes(dimension: Sequence[Any] | Range) -> list[Any]:
    return (
        [_shape(dimension, end) for end in (dimension.low, dimension.high)]
        if isinstance(dimension, Range)
        else [*dimension]
    )


def _count_values(dimension: Sequence[Any] | Range) -> int | None:
    if not isinstance(dimension, Range):
        return len(dimension)
    if dimension.low == dimension.high:
        return 1
    step = dimension.step or (1 if dimension.integer else None)
    return None if step is None else int((dimension.high - dimension.low) / step + 1e-9) + 1


def _list_values(dimension: Sequence[Any] | Range) -> list[Any]:
    if not isinstance(dimension, Range):
        return list(dimension)
    step, count = dimension.step or 1, _count_values(dimension) or 0
    return [_shape(dimension, round(dimension.low + step * place, 12)) for place in range(count)]


def _shape(dimension: Range, number: float) -> float | int:
    return int(number) if dimension.integer else number


def _build_distribution(dimension: Sequence[Any] | Range) -> Any:  # noqa: ANN401 (Optuna's)
    from optuna import distributions

    if not isinstance(dimension, Range):
        return distributions.CategoricalDistribution([encode_choice(value) for value in dimension])
    if dimension.integer:
        low, high, step = int(dimension.low), int(dimension.high), int(dimension.step or 1)
        return distributions.IntDistribution(low, high, log=dimension.log, step=step)
    return distributions.FloatDistribution(
        dimension.low, dimension.high, log=dimension.log, step=dimension.step
    )


def _is_same(choice: object, param: object) -> bool:
    return type(choice) is type(param) and choice == param
