"""What a result goes through on its way to the board, whoever looked."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace

from ..exceptions import ScanError
from .board import Board, Placement
from .execution import Loaded
from .model import CheckResult, Remediation, one_line, utc_now
from .notify import Notifier
from .redaction import remove_secrets
from .registry import Registry
from .runner import OWNER as OF_RUNNER
from .schedule import Scheduler

_log = logging.getLogger("partywidgets.scans")


class Placing:
    """Takes secrets out of results, and leaves out those that are of no present check; tells those who are notified, and looks again soon
    at a problem that is not certain yet."""

    def __init__(
        self, board: Board, registry: Registry, notifier: Notifier, scheduler: Scheduler, redact: Callable[[str], str] | None
    ) -> None:
        self._board, self._registry, self._notifier, self._scheduler, self._redact = board, registry, notifier, scheduler, redact

    def place(
        self, result: CheckResult, loaded: Loaded | None, *, owner: str, gone: bool = False, published: bool = False
    ) -> Placement | None:
        """What became of the row; None when the result is left out.

        `loaded` is what was looked at: without it the row is `owner`'s. `gone`: the check is known to be there no more, its row stays.
        `published`: somebody else looked, whatever check of this host it is about.
        """
        check, now = None if loaded is None else loaded.check, utc_now()
        if published or loaded is None or not loaded.own:
            if self._redact is not None:
                remove_secrets(result, self._redact)
            result.remediation = _remedy(result, loaded)
        result.observed_at = min(result.observed_at, now)  # a clock that is ahead elsewhere must not keep its rows for ever
        if loaded is not None and not gone and self._replaced(loaded):
            return None  # while it was looked at: its row has left the board, for good
        try:
            placement = self._board.place(
                result,
                owner=owner if loaded is None else loaded.owner,
                attempts=result.state.max_attempts if check is None else check.attempts,
                recovery_attempts=1 if check is None else check.recovery_attempts,
                depends_on=() if check is None else check.depends_on,
                now=now,
            )
        except ScanError as error:
            _log.error("check %s: its result is left out: %s", result.check_id, error)
            return None
        if gone:  # nobody looked
            placement = replace(placement, recorded=replace(placement.recorded, looked=False))
        if placement.hardened:  # nobody was told of a problem that was over before it was hard, so nobody is told of its end
            _log.info("check %s is %s (%s): %s", result.check_id, result.status, result.severity, one_line(result.summary, 200))
        self._notifier.seen(result)
        if check is not None and result.state.phase == "soft":
            self._scheduler.hasten(check.id, after=max(check.retry_delay, 0.5))
        return placement

    def _replaced(self, loaded: Loaded) -> bool:
        present = self._registry.checks.get(loaded.id)
        if present is loaded:
            return False
        if present is None or present.owner != loaded.owner or present.check.fingerprint != loaded.check.fingerprint:
            return True
        return loaded.check.enabled and not present.check.enabled


def _remedy(result: CheckResult, loaded: Loaded | None) -> Remediation | None:
    """What is to be done, of a result that was made elsewhere: of a check of this host what its author says; of others what they say, but
    never without a question before it."""
    if loaded is not None and not loaded.owner.startswith(OF_RUNNER):
        return loaded.check.remedy
    remedy = result.remediation
    return remedy if remedy is None or remedy.confirm else replace(remedy, confirm=True)
