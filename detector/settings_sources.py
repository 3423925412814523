"""Where each job's settings come from: a YAML file, then the environment, then flags, checked before a start.

Owns the sources and their order. Refuses unknown keys and wrong types by their full name (``media.pathz``),
with the nearest known name.
"""

import argparse
import difflib
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_settings import (
    BaseSettings,
    CliSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    YamlConfigSettingsSource,
)
from pydantic_settings import SettingsError as SourceError

from detector.errors import SettingsError

ENVIRONMENT_PREFIX = "DETECTOR_"


class Section(BaseModel):
    """A group of settings: nothing unknown, nothing converted by guess, nothing changed later."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True, populate_by_name=True)


class JobSettings(BaseSettings):
    """What the settings of every job share: the sources and their order."""

    model_config = SettingsConfigDict(
        extra="forbid",
        frozen=True,
        env_prefix=ENVIRONMENT_PREFIX,
        env_nested_delimiter="__",
        env_ignore_empty=True,
        nested_model_default_partial_update=False,
    )
    yaml_path: ClassVar[Path | None] = None
    arguments: ClassVar[Sequence[str] | None] = None

    config: Path | None = Field(
        None, description="YAML file of these settings; the environment and flags win over it"
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 (no .env files: nothing hidden)
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Order the sources: flags over environment over YAML; in Python, only what is passed."""
        if cls.arguments is None:
            return (init_settings,)
        flags: CliSettingsSource[Any] = CliSettingsSource(
            settings_cls,
            cli_parse_args=list(cls.arguments),
            cli_implicit_flags=True,
            cli_avoid_json=True,
            cli_hide_none_type=True,
            cli_enforce_required=False,
        )
        if cls.yaml_path is None:
            return (flags, env_settings)
        return (flags, env_settings, YamlConfigSettingsSource(settings_cls, yaml_file=cls.yaml_path))


AnySettings = TypeVar("AnySettings", bound=JobSettings)


def load_settings(settings_class: type[AnySettings], arguments: Sequence[str]) -> AnySettings:
    """Read a job's settings from its YAML file, the environment and ``arguments`` (without the program).

    Raises ``SettingsError`` that names every wrong key. ``--help`` prints and leaves by ``SystemExit(0)``,
    a malformed flag by ``SystemExit(2)``.
    """
    yaml_path = _find_yaml(arguments)
    sources = {
        "yaml_path": yaml_path,
        "arguments": _keep_commas(settings_class, arguments),
        "__doc__": settings_class.__doc__,
    }
    reader: type[AnySettings] = type(settings_class.__name__, (settings_class,), sources)
    try:
        _refuse_unknown_environment(settings_class)
        return reader()
    except ValidationError as error:
        raise SettingsError(_explain(error, settings_class, yaml_path)) from error
    except (SourceError, yaml.YAMLError) as error:
        raise SettingsError(f"{yaml_path or 'settings'}: {error}") from error


def list_keys(model: type[BaseModel], prefix: str = "") -> list[str]:
    """List the full names of all settings below ``model``.

    >>> class Camera(BaseModel):
    ...     lens: str
    >>> class Site(BaseModel):
    ...     name: str
    ...     camera: Camera
    >>> list_keys(Site, "site.")
    ['site.name', 'site.camera.lens']
    """
    return [key for key, _ in _walk(model, prefix)]


def _walk(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, field in model.model_fields.items():
        key = prefix + (field.alias or name)
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from _walk(field.annotation, key + ".")
        else:
            yield key, field.annotation


def _find_yaml(arguments: Sequence[str]) -> Path | None:
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--config", type=Path, default=os.environ.get(f"{ENVIRONMENT_PREFIX}CONFIG"))
    found = parser.parse_known_args(arguments)[0].config
    path = None if found is None else Path(found)
    if path is not None and not path.is_file():
        raise SettingsError(f"--config {path}: there is no such file")
    return path


def _keep_commas(settings_class: type[JobSettings], arguments: Sequence[str]) -> tuple[str, ...]:
    # The library splits the values of list flags at commas; a folder's name may hold one.
    flags = {f"--{key}" for key, kind in _walk(settings_class) if kind == list[str]}
    kept: list[str] = []
    for argument in arguments:
        flag, equals, value = argument.partition("=")
        if equals and flag in flags and not value.startswith("["):
            kept.append(f"{flag}={json.dumps([value], ensure_ascii=False)}")
        elif kept and kept[-1] in flags and not argument.startswith(("[", "--")):
            kept.append(json.dumps([argument], ensure_ascii=False))
        else:
            kept.append(argument)
    return tuple(kept)


def _refuse_unknown_environment(settings_class: type[JobSettings]) -> None:
    sections = {name.upper() for name in settings_class.model_fields}
    for variable in os.environ:
        section = variable.removeprefix(ENVIRONMENT_PREFIX).split("__")[0]
        if variable.startswith(ENVIRONMENT_PREFIX) and section not in sections:
            known = ", ".join(sorted(ENVIRONMENT_PREFIX + name for name in sections))
            raise SettingsError(f"environment variable {variable} is unknown; known beginnings: {known}")


def _explain(error: ValidationError, settings_class: type[JobSettings], yaml_path: Path | None) -> str:
    known = list_keys(settings_class)
    lines = []
    for problem in error.errors():
        key = ".".join(str(part) for part in problem["loc"])
        if problem["type"] == "extra_forbidden":
            near = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
            lines.append(f"unknown setting {key}" + (f"; did you mean {near[0]}?" if near else ""))
        elif problem["type"] == "missing":
            lines.append(f"{key} is missing: give it as --{key}, in the YAML file, or in the environment")
        elif problem["type"] == "value_error":
            lines.append(str(problem["ctx"]["error"]))
        else:
            lines.append(f"{key}: {problem['msg']}, not {problem['input']!r}")
    return "; ".join(lines) + (f" (settings file {yaml_path})" if yaml_path else "")
