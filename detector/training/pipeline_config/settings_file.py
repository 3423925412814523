"""The YAML file of a converted config: our settings, each under a comment that says where it comes from.

Owns the file's text. Refuses values that the settings of jobs/train.py don't take, before anything is
written.
"""

import json
import textwrap
from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Any

import yaml
from pydantic import ValidationError

from detector.errors import SettingsError
from detector.settings_sources import list_keys
from detector.training.pipeline_config.ledger import Entry, Ledger, Outcome
from detector.training.train_settings import TrainSettings

_WIDTH = 110
_ENDS = (
    (Outcome.NONE, "No counterpart, and what to do"),
    (Outcome.NEAREST, "Converted to the nearest"),
    (Outcome.SAME, "The same here without a key"),
    (Outcome.IDLE, "No counterpart, nothing to do"),
)


def check_settings(ledger: Ledger, source: str) -> TrainSettings:
    """Make the settings. Raises ``SettingsError`` for values that they don't take, with their origin."""
    try:
        return TrainSettings(**_nest(ledger))
    except ValidationError as error:
        problems = []
        for problem in error.errors():
            key = ".".join(str(part) for part in problem["loc"] if isinstance(part, str))
            found = ledger.settings.get(key)
            origin = f" (from {found.why})" if found else ""
            problems.append(f"{key}: {problem['msg']}, not {problem['input']!r}{origin}")
        raise SettingsError(
            f"{source}: {'; '.join(problems)}. Nothing was written: correct it there"
        ) from error


def format_settings(ledger: Ledger, source: str) -> str:
    """Write the file's text: settings in their usual order, then the account of all other fields."""
    parts = [*_comment(f"Converted from {_quote(source)} by jobs/train.py --from-pipeline-config.")]
    for assumed in ledger.assumptions:
        parts += _comment(f"Assumed: {_quote(assumed)}", hanging="  ")
    parts += _format_sections(ledger)
    for outcome, title in _ENDS:
        entries = list(ledger.list_entries(outcome))
        if entries:
            parts += ["", *_comment(f"{title}:")]
            for line in describe_entries(entries):
                parts += _comment(f"- {line}", hanging="  ")
    return "\n".join(parts) + "\n"


def describe_entries(entries: Iterable[Entry]) -> Iterator[str]:
    """Write entries, neighbours of one end on one line: line, path and value of each, key, and what to do."""
    for (key, text), group in groupby(entries, lambda entry: (entry.key, entry.text)):
        fields = "; ".join(f"line {entry.line}, {entry.path}: {entry.value}" for entry in group)
        yield _quote(f"{fields}{f' -> {key}' if key else ''}{f': {text}' if text else ''}")


def _format_sections(ledger: Ledger) -> Iterator[str]:
    opened: tuple[str, ...] = ()
    for key in list_keys(TrainSettings):
        setting = ledger.settings.get(key)
        if setting is None:
            continue
        *above, name = key.split(".")
        for depth, section in enumerate(above):
            if opened[: depth + 1] != tuple(above[: depth + 1]):
                yield from ([""] if not depth else [])
                yield f"{'  ' * depth}{section}:"
        opened = tuple(above)
        indent = "  " * len(above)
        yield from _comment(_quote(setting.why), indent=indent)
        yield f"{indent}{name}: {_format_value(setting.value)}"


def _format_value(value: Any) -> str:  # noqa: ANN401 (any setting)
    text: str = yaml.safe_dump([value], default_flow_style=True, width=10**9, allow_unicode=True)
    return text.strip()[1:-1]


def _comment(text: str, *, indent: str = "", hanging: str = "") -> list[str]:
    begin = f"{indent}# "
    return textwrap.wrap(
        text, _WIDTH, initial_indent=begin, subsequent_indent=begin + hanging, break_long_words=False,
        break_on_hyphens=False,
    )  # fmt: skip


def _quote(text: str) -> str:
    # What comes from a file may hold anything; a line break would end the comment.
    return text if text.isprintable() else json.dumps(text)


def _nest(ledger: Ledger) -> dict[str, Any]:
    nested: dict[str, Any] = {}
    for key, setting in ledger.settings.items():
        *above, name = key.split(".")
        section = nested
        for part in above:
            section = section.setdefault(part, {})
        section[name] = setting.value
    return nested
