"""Witnesses: what a row looked like when it was last ok, and when it last was not."""

from __future__ import annotations

from typing import NamedTuple

from .model import CheckResult


class Witnesses(NamedTuple):
    """The last result of a row that was ok, and the last that was warn, crit or unknown, whole and with evidence; None: there was none.

    They stay when retention removes the other results of their time.
    """

    success: CheckResult | None
    failure: CheckResult | None

    def beside(self, row: CheckResult) -> CheckResult | None:
        """The one that tells what the row does not: of a row that is ok its failure, of another its success."""
        return self.failure if row.status == "ok" else self.success
