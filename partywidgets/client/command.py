"""The result of a command that was run in a terminal."""

from __future__ import annotations

import html
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from ..exceptions import CommandError
from ..spelling import SaysNames
from .records import parse_json
from .table import parse_table

if TYPE_CHECKING:
    from pandas import DataFrame


@dataclass(frozen=True, slots=True)
class CommandResult(SaysNames):
    """A command that has ended in the shared shell.

    `exit_code` is None when the shell did not tell it. `output` is what was printed, as text without escape sequences; `output_lost` counts
    the bytes at its beginning that the room no longer had. `duration_s` is in seconds; `offset` is where the output begins in the
    terminal's stream. Its repr leaves the duration out, so that saved notebooks compare equal.
    """

    _meant: ClassVar = {
        **dict.fromkeys(("stdout", "text", "out", "result"), "output"),
        **dict.fromkeys(("stderr", "err", "error"), "output, where a terminal has both streams"),
        **dict.fromkeys(("returncode", "return_code", "rc", "status", "exit_status", "exitcode", "code"), "exit_code"),
        **dict.fromkeys(("success", "succeeded", "failed"), "ok"),
        **dict.fromkeys(("duration", "elapsed", "time", "took"), "duration_s"),
        **dict.fromkeys(("dataframe", "to_df", "table", "frame"), "df"),
        **dict.fromkeys(("check_returncode", "raise_for_status"), "check()"),
    }

    command: str
    exit_code: int | None
    output: str
    duration_s: float
    cwd: str | None
    offset: int
    id: str = ""
    output_lost: int = 0

    @classmethod
    def from_wire(cls, reply: dict[str, Any]) -> CommandResult:
        """From the `result` of a reply to `run`."""
        return cls(
            command=str(reply.get("command", "")),
            exit_code=reply.get("exit_code"),
            output=str(reply.get("output", "")),
            duration_s=float(reply.get("duration_s") or 0.0),
            cwd=reply.get("cwd"),
            offset=int(reply.get("offset") or 0),
            id=str(reply.get("id", "")),
            output_lost=int(reply.get("output_lost") or 0),
        )

    @property
    def ok(self) -> bool:
        """True when it exited with 0."""
        return self.exit_code == 0

    @property
    def lines(self) -> list[str]:
        """The output's lines."""
        return self.output.splitlines()

    def check(self) -> CommandResult:
        """This result if the command exited with 0; else raises CommandError."""
        if self.ok:
            return self
        last = next((line.strip() for line in reversed(self.lines) if line.strip()), "no output")
        how = "did not tell its exit code" if self.exit_code is None else f"exited with {self.exit_code}"
        raise CommandError(f"{self.command!r} {how}: {last[:200]}")

    @property
    def df(self) -> DataFrame:
        """The output as a DataFrame, read as a table with a header (`df -h`, `ps aux`, `docker ps`, `kubectl get pods`).

        `ls -l` has one too, `du`, `wc`, `uniq -c`, `mount` and `git status -s`, which print no header, tables with lines of dashes (psql,
        mysql), CSV, and JSON, whole or a value a line (`kubectl get pods -o json`). Columns of numbers become numbers, and those where
        every value ends in `%` too. Raises CommandError when the output is not a table, and when its beginning is lost.
        """
        import pandas as pd

        if self.output_lost:
            raise CommandError(
                f"the output of {self.command!r} cannot be a DataFrame: {self._lost}, and the header with them: print less, or into a file"
            )
        try:
            if (records := parse_json(self.output)) is not None:
                return pd.json_normalize(records)
            names, rows = parse_table(self.output, self.command)
        except ValueError as error:
            raise CommandError(f"the output of {self.command!r} cannot be a DataFrame: {error}; its text is in .output") from None
        frame = pd.DataFrame(rows, columns=names, dtype=None if rows else "str")
        for position in range(len(names)):
            column = frame.iloc[:, position]
            if bool((column == "").all()):
                continue
            percent = bool(column.str.fullmatch(r"-?[0-9.]+%").all())
            try:
                numbers = pd.to_numeric(column.str.rstrip("%") if percent else column)
            except (ValueError, TypeError):
                continue
            frame.isetitem(position, numbers.to_numpy())
        return frame

    @property
    def _lost(self) -> str:
        return f"its first {self.output_lost:,} bytes are not kept"

    @property
    def _shown(self) -> str:
        output = self.output.rstrip("\n")
        return f"… {self._lost}\n{output}" if self.output_lost else output

    def __str__(self) -> str:
        return self.output

    def __repr__(self) -> str:
        output = self._shown
        head = f"$ {self.command}\n" + (f"{output}\n" if output else "")
        return head + ("exit code unknown" if self.exit_code is None else f"exit {self.exit_code}")

    def _repr_html_(self) -> str:
        mark = "exit code unknown" if self.exit_code is None else f"exit {self.exit_code}"
        return (
            '<div class="pw-command"><div><code>$ '
            + html.escape(self.command)
            + "</code></div><pre>"
            + html.escape(self._shown)
            + f'</pre><div><small class="pw-{"ok" if self.ok else "crit"}">{"✓" if self.ok else "✗"} {mark}</small></div></div>'
        )
