"""blackbox_exporter's modules, each with the targets that Prometheus has it look at: one check for each pair."""

from __future__ import annotations

import re
from typing import Any

from ..config_source import Source
from ..duration import parse_duration
from .blackbox_module import MISSING, Modules
from .draft import Draft, slug, span
from .prometheus import Job, jobs
from .source import Section


class Blackbox:
    """One conversion."""

    def __init__(self, draft: Draft) -> None:
        self.draft = draft

    def read(self, configs: list[Source], targets: list[Source]) -> None:
        """Takes the modules of the first, and what the others have them look at."""
        modules: dict[str, Section] = {}
        for source in configs:
            listed = Section(source, (), source.value, self.draft).section("modules")
            modules |= {name: listed.section(name) for name in list(listed.left)}
        used: set[str] = set()
        for source in targets:
            for job in jobs(source, self.draft):
                if job.module not in modules:
                    self.draft.left_out(job.place, f"the module {job.module!r} is not among those of the exporter")
                    self.draft.found += len(job.targets)
                    continue
                module, told = modules[job.module], job.module in used
                used.add(job.module)
                self._job(job, module, told)
        for name, module in modules.items():
            if name not in used:
                self.draft.left_out(module.at(), f"{name}: nothing is looked at with it")

    def _job(self, job: Job, module: Section, told: bool) -> None:
        for number, (target, labels, place) in enumerate(job.targets):
            self.draft.found += 1
            quiet = told or number > 0  # what is wrong with a module is told once, not for each target
            before = len(self.draft.notes)
            copy = Section(module.source, module.loc, dict(module.left), self.draft)
            check = Modules(self.draft, job.module).check_of(copy, target, place)
            if quiet:
                kept = [note for note in self.draft.notes[before:] if note.place == place or note.kind == "secret"]
                self.draft.notes[before:] = kept
            if check is None:
                if quiet:
                    self.draft.left_out(place, f"{target}: {MISSING}")
                continue
            check = {"id": self.draft.name(f"{slug(job.name)}-{slug(re.sub(r'^https?://', '', target))}"), **check}
            check |= {
                "title": target[:200],
                "every": span(job.every),
                "timeout": span(self._timeout(module, job)),
                "labels": {"job": job.name, **labels},
            }
            self.draft.add(check, place)

    @staticmethod
    def _timeout(module: Section, job: Job) -> float:
        """The exporter's rule: the module's, at most Prometheus' own less half a second."""
        limit = max(job.timeout - 0.5, 0.1)
        given: Any = module.left.get("timeout")
        try:
            return min(parse_duration(given), limit) if isinstance(given, str) else limit
        except ValueError:
            return limit
