"""Which checks there are, and whose: those of the loaded configs, and the functions that runners offer. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches

from ..exceptions import ConfigError, ScanError
from .execution import Loaded
from .model import CheckResult

CHECKS = 20_000
"""Most checks of all configs and runners together."""


@dataclass(frozen=True, slots=True)
class Selection:
    """Which checks a scan runs: by id, by fingerprint, by labels (all must match). All empty: every check that is enabled."""

    checks: tuple[str, ...] = ()
    fingerprints: tuple[str, ...] = ()
    labels: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Swap:
    """What loading did: the checks that are there now and were not, were changed, and are gone."""

    added: tuple[Loaded, ...]
    changed: tuple[Loaded, ...]
    removed: tuple[Loaded, ...]


class Registry:
    """Checks by id. Each has one owner; loading an owner's checks again replaces them, all or none."""

    def __init__(self) -> None:
        self.checks: dict[str, Loaded] = {}
        self._dependents: dict[str, list[Loaded]] | None = None

    def __len__(self) -> int:
        return len(self.checks)

    def owned_by(self, owner: str) -> list[Loaded]:
        """One owner's checks."""
        return [loaded for loaded in self.checks.values() if loaded.owner == owner]

    def replace(self, owner: str, checks: Iterable[Loaded], *, heir_of: str | None = None) -> Swap:
        """Puts `checks` in place of all that `owner` had. Raises ConfigError, and changes nothing, when an id is taken.

        From owners whose name begins with `heir_of` a check of the same fingerprint is taken over: a function that was promoted.
        """
        fresh: dict[str, Loaded] = {}
        for loaded in checks:
            holder = self.checks.get(loaded.id)
            inherited = heir_of is not None and holder is not None and holder.owner.startswith(heir_of)
            if inherited and holder is not None and holder.check.fingerprint == loaded.check.fingerprint:
                holder = None
            if holder is not None and holder.owner != owner:
                raise ConfigError(f"the check id {loaded.id!r} belongs to {holder.owner}: give this check another id", path=owner)
            if loaded.id in fresh:
                raise ConfigError(f"the check id {loaded.id!r} is used twice: give one of them another id", path=owner)
            fresh[loaded.id] = loaded
        before = {loaded.id: loaded for loaded in self.owned_by(owner)}
        if len(self.checks.keys() - before.keys() | fresh.keys()) > CHECKS:
            raise ConfigError(f"there would be more than {CHECKS} checks: split them over several hosts", path=owner)
        for check_id in before:
            del self.checks[check_id]
        self.checks.update(fresh)
        self._dependents = None
        return Swap(
            added=tuple(loaded for loaded in fresh.values() if loaded.id not in before),
            changed=tuple(loaded for loaded in fresh.values() if loaded.id in before and loaded.check != before[loaded.id].check),
            removed=tuple(loaded for loaded in before.values() if loaded.id not in fresh),
        )

    def dependents(self, check_id: str) -> Sequence[Loaded]:
        """The checks that depend on one."""
        if self._dependents is None:
            self._dependents = {}
            for loaded in self.checks.values():
                for name in loaded.check.depends_on:
                    self._dependents.setdefault(name, []).append(loaded)
        return self._dependents.get(check_id, ())

    def select(self, selection: Selection, *, rows: Mapping[str, CheckResult]) -> list[Loaded]:
        """The checks that a selection means; `rows` are those of the board, by fingerprint: of checks that were looked at.

        Raises ScanError naming the first id or fingerprint that nothing has, or the labels that nothing matches.
        """
        if not (selection.checks or selection.fingerprints or selection.labels):
            return [loaded for loaded in self.checks.values() if loaded.check.enabled]
        wanted = dict.fromkeys(selection.checks)
        unseen = {loaded.check.fingerprint: loaded.id for loaded in self.checks.values()} if selection.fingerprints else {}
        for fingerprint in selection.fingerprints:
            check_id = rows[fingerprint].check_id if fingerprint in rows else unseen.get(fingerprint)
            if check_id is None:
                raise ScanError(f"no row is {fingerprint!r}: take its check_id or fingerprint from the table")
            wanted.setdefault(check_id)
        for check_id in wanted:
            if check_id not in self.checks:
                raise ScanError(f"no check is called {check_id!r}{self._hint(check_id)}")
        chosen = [self.checks[check_id] for check_id in wanted] if wanted else [one for one in self.checks.values() if one.check.enabled]
        chosen = [loaded for loaded in chosen if selection.labels.items() <= loaded.check.labels.items()]
        if not chosen:
            labels = ", ".join(f"{key}={value}" for key, value in selection.labels.items())
            raise ScanError(f"no check has the labels {labels}: see the labels in the config")
        return chosen

    def _hint(self, check_id: str) -> str:
        near = get_close_matches(check_id, self.checks, 1)
        if near:
            return f": did you mean {near[0]!r}?"
        if not self.checks:
            return ": no config is loaded"
        some = ", ".join(list(self.checks)[:8]) + (", …" if len(self.checks) > 8 else "")
        return f" (known: {some}): load the config that has it, or start its runner"
