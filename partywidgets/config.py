"""partywidgets.yaml as models: assembles those that live beside what they configure."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any


class Config:
    """A whole config. Becomes a pydantic model: sandboxes, defaults, checks, schedule, notify, history, recording, terminal, modules, maintenance, auth."""

    sandboxes: dict[str, str]


def load_config(path: str | Path, *, environ: Mapping[str, str] | None = None) -> Config:
    """Reads a config file. Raises ConfigError with path, line and column for anything wrong, an unknown key included.

    `${env:NAME}` and `${file:PATH}` stay references here; the host resolves them (`resolve`), so that a config that travels holds no secret.
    """
    raise NotImplementedError


def parse_config(text: str, *, path: str = "partywidgets.yaml") -> Config:
    """As `load_config`, from text; `path` is what errors name."""
    raise NotImplementedError


def resolve(value: Any, *, environ: Mapping[str, str], base: Path) -> Any:
    """The value with every `${env:NAME}` and `${file:PATH}` in it replaced. Raises ConfigError naming a missing one, never its content."""
    raise NotImplementedError
