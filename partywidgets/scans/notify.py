"""The targets of `notify:`: those of each loaded config, and the task that tells each; what one is told, and when, is `notify_target`."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any

from ..exceptions import ConfigError
from .model import CheckResult, one_line
from .notify_ledger import Keep, Told
from .notify_settings import NotifySettings
from .notify_target import Said, Target, Troubled

LAST_WORDS, TICK = 30.0, 0.1
"""Seconds that a target which left its config has for what it is still to be told, and between two looks whether it has been."""
FAILING = 20
"""Targets that do not take messages which everyone in the room is told of."""


_log = logging.getLogger("partywidgets.scans.notify")


@dataclass(slots=True)
class _Owned:
    target: Target
    task: asyncio.Task[None] | None = field(default=None, repr=False)


class Notifier:
    """The targets of all loaded configs; each hears of every row on the board that it wants.

    `own` makes a task of the service's own. Nothing is told before `start`.
    """

    def __init__(
        self,
        own: Callable[[Coroutine[Any, Any, None], str], asyncio.Task[None]],
        *,
        keep: Keep,
        current: Callable[[str], CheckResult | None],
        troubled: Troubled,
        said: Said,
        redact: Callable[[str], str] | None = None,
    ) -> None:
        self._own, self._keep, self._current, self._troubled, self._said = own, keep, current, troubled, said
        self._redact = redact or (lambda text: text)
        self._targets: dict[str, dict[str, _Owned]] = {}
        self._told: dict[str, Told] = {}
        """By the target's key, also of targets that no config has now: they may come back."""
        self._departed: dict[str, dict[str, tuple[CheckResult, str]]] = {}
        """Rows that left the board, and why, of which a target is to hear as soon as a config has it."""
        self._started = False

    @property
    def targets(self) -> list[Target]:
        """Every target."""
        return [owned.target for group in self._targets.values() for owned in group.values()]

    def failing(self) -> list[dict[str, str]]:
        """The targets whose last message did not arrive, and why, for those who look at the room: without secrets, 20 at most."""
        failing = [target for target in self.targets if target.last_error is not None]
        return [
            {"target": one_line(target.settings.name), "error": one_line(self._redact(target.last_error or ""))}
            for target in failing[:FAILING]
        ]

    def start(self, told: Mapping[str, Told], departed: Mapping[str, Sequence[tuple[CheckResult, str]]] | None = None) -> None:
        """Begins to tell; `told` is what a former run told, by target, and `departed` what it had still to tell of rows that are gone."""
        self._told, self._started = {key: dict(value) for key, value in told.items()}, True
        self._departed = {key: {row.fingerprint: (row, reason) for row, reason in rows} for key, rows in (departed or {}).items()}
        for group in self._targets.values():
            for owned in group.values():
                owned.target.ledger.told = self._told.setdefault(owned.target.key, {})
                self._run(owned)

    def configure(
        self,
        owner: str,
        settings: Sequence[NotifySettings],
        resolve: Callable[[str], str],
        rows: Sequence[CheckResult],
        *,
        page: str = "",
    ) -> None:
        """Puts these targets in place of those that `owner` had; one that keeps its name keeps what it was told.

        `rows` are those on the board: a new target hears of what fails already. `page` is the URL of the host's page, for links.
        """
        before, now = self._targets.pop(owner, {}), {}
        for one in settings:
            known = before.pop(one.name, None)
            if known is not None:
                known.target.settings, known.target.resolve = one, resolve
            else:
                key = f"{owner}#{one.name}"
                told = self._told.setdefault(key, {})
                target = Target(
                    key,
                    one,
                    told=told,
                    resolve=resolve,
                    redact=self._redact,
                    keep=self._keep,
                    current=self._current,
                    troubled=self._troubled,
                    said=self._said,
                )
                known = _Owned(target)
                if self._started:
                    self._run(known)
            known.target.page = page
            now[one.name] = known
        for gone in before.values():
            if gone.task is not None:
                self._own(_part(gone), f"notify {gone.target.settings.name}, at last")
        if now:
            self._targets[owner] = now
        if self._started:
            for owned in now.values():
                for row in rows:
                    owned.target.seen(row)

    def seen(self, row: CheckResult) -> None:
        """A row was placed, or its suppression changed."""
        if self._started:
            for target in self.targets:
                target.seen(row)

    def gone(self, row: CheckResult, reason: str) -> None:
        """A row leaves the board. A target whose config comes later, as at the start of a host, hears of it then."""
        targets = {target.key: target for target in self.targets}
        for target in targets.values():
            target.gone(row, reason)
        for key, told in self._told.items():
            if key not in targets and row.fingerprint in told:
                self._departed.setdefault(key, {})[row.fingerprint] = row, reason

    def _run(self, owned: _Owned) -> None:
        for row, reason in self._departed.pop(owned.target.key, {}).values():
            if self._current(row.fingerprint) is None:
                owned.target.gone(row, reason)
        owned.task = self._own(owned.target.run(), f"notify {owned.target.settings.name}")


async def _part(owned: _Owned) -> None:
    """Ends a target that left its config. Where its rows went along, who knows them as failing hears that first."""
    assert owned.task is not None
    owned.target.say_only_what_is_gone()
    try:
        async with asyncio.timeout(LAST_WORDS + owned.target.settings.group_wait):
            while owned.target.waiting:
                await asyncio.sleep(TICK)
    except TimeoutError:
        _log.warning("notify target %r left its config, and does not take what was still to be told", owned.target.settings.name)
    finally:
        owned.task.cancel()


def require_apprise(path: str) -> None:
    """Raises ConfigError where the library that delivers is not installed."""
    if find_spec("apprise") is None:
        raise ConfigError("`notify` needs Apprise on the host: pip install 'partywidgets[notify]'", path=path)
