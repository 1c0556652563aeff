"""Prometheus' `scrape_configs` that ask a blackbox_exporter: their targets, how often, and by which module."""

from __future__ import annotations

import glob
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..config_source import MAX_TEXT, Source, read_yaml
from ..duration import parse_duration
from ..exceptions import ConfigError
from .draft import Draft
from .source import Section

MAX_FILES = 1000
"""Files of targets that one config may name."""
_USUAL = ({"__address__"}, {"__param_target"}, set[str]())
"""The sources of the three relabellings that every job of this kind has."""


@dataclass
class Job:
    """One scrape config: `targets` are what is looked at, each with its labels and its place."""

    name: str
    module: str
    every: float
    timeout: float
    place: str
    targets: list[tuple[str, dict[str, str], str]] = field(default_factory=list)


def jobs(source: Source, draft: Draft) -> Iterator[Job]:
    """The jobs of a Prometheus config that probe; others are left alone."""
    root = Section(source, (), source.value, draft)
    common = root.section("global")
    every, timeout = _seconds(common, "scrape_interval", 60.0), _seconds(common, "scrape_timeout", 10.0)
    for given in root.sections("scrape_configs"):
        params = given.section("params")
        if given.text("metrics_path") != "/probe" and not params.left.get("module"):
            continue
        modules = params.items("module")
        name = given.text("job_name", "probe")
        job_every = _seconds(given, "scrape_interval", every)
        job = Job(
            name,
            str(modules[0]) if modules else "http_2xx",
            job_every,
            min(_seconds(given, "scrape_timeout", timeout), job_every),
            given.at(),
        )
        for address in params.items("target"):
            job.targets.append((str(address), {}, given.at("params")))
        for group in given.sections("static_configs"):
            labels = group.texts("labels")
            for index, address in enumerate(group.items("targets")):
                job.targets.append((str(address), labels, group.at("targets", index)))
        for files in given.sections("file_sd_configs"):
            for pattern in files.items("files"):
                job.targets += _from_files(str(pattern), source, files.at(), draft)
        _relabelled(given, draft)
        for key in [key for key in given.left if key.endswith("_sd_configs") and given.left[key]]:
            draft.left_out(given.at(key), f"{key}: targets are found by it while it runs; write those that you know as static_configs")
        yield job


def _from_files(pattern: str, source: Source, place: str, draft: Draft) -> Iterator[tuple[str, dict[str, str], str]]:
    base = Path(source.path).parent
    found = sorted(glob.glob(str(base / pattern)))[: MAX_FILES + 1]
    if not found or len(found) > MAX_FILES:
        draft.left_out(place, f"{pattern}: {'no such file here' if not found else f'more than {MAX_FILES} files'}")
        return
    for path in found:
        try:
            with open(path, encoding="utf-8-sig") as file:
                listed = read_yaml(file.read(MAX_TEXT + 1), path=path, foreign=True)
        except (OSError, UnicodeDecodeError, ConfigError) as error:
            draft.left_out(place, f"{path}: {error}")
            continue
        for index, group in enumerate(listed.value if isinstance(listed.value, list) else []):
            section = Section(listed, (index,), group, draft)
            labels = section.texts("labels")
            for number, address in enumerate(section.items("targets")):
                yield str(address), labels, section.at("targets", number)


def _relabelled(given: Section, draft: Draft) -> None:
    """Tells of relabellings beyond those that every job of this kind has: they may change targets and labels."""
    for rule in given.sections("relabel_configs"):
        sources = {str(name) for name in rule.items("source_labels")}
        known = (
            sources in _USUAL and rule.text("target_label") in ("__param_target", "instance", "__address__") and not rule.left.get("regex")
        )
        if not known:
            draft.left_out(rule.at(), "this relabelling is not done: targets and labels are taken as they are written")
    for rule in given.sections("metric_relabel_configs"):
        draft.left_out(rule.at(), "metrics are not relabelled here")


def _seconds(given: Section, key: str, default: float) -> float:
    value: Any = given.take(key)
    try:
        return parse_duration(value) if isinstance(value, str) else default
    except ValueError:
        draft_place = given.at(key)
        given.draft.left_out(draft_place, f"{key}: a duration such as 30s is expected here")
        return default
