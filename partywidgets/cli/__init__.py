"""The command line: `partywidgets serve | scan | attach | token | doctor | validate | schema | plan | convert | audit`."""

from __future__ import annotations

import logging
import os
import sys
import traceback

__all__ = ["Verdict", "counted", "main"]


class Verdict(SystemExit):
    """How a command that judges ends: `scan` with 0 to 3 by the worst status, `doctor` with 0 or 1."""


def counted(number: int, noun: str, ending: str = "s") -> str:
    """A number of things: `1 check`, `2 checks`."""
    return f"{number} {noun}{'' if number == 1 else ending}"


def main() -> None:
    """The entry point. A user's mistake is one sentence on stderr and exit code 1, or 3 for `scan`, whose 1 and 2 are statuses."""
    from ..exceptions import PartyError

    _fill_standard_files()
    failed = 3 if "scan" in sys.argv[1:2] else 1
    try:
        from .commands import app

        app(prog_name="partywidgets")
    except Verdict:
        raise
    except SystemExit as end:
        if end.code == 2 and failed == 3:  # a usage error, not the status crit
            sys.exit(failed)
        raise
    except PartyError as error:
        say(str(error))
        sys.exit(failed)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        # Whoever read our output has gone (`| head`); nothing more can be written, not even by the interpreter's own flush.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(failed)
    except Exception as error:
        if os.environ.get("PARTYWIDGETS_DEBUG"):
            traceback.print_exc()
        say(f"unexpected {type(error).__name__}: {error}; PARTYWIDGETS_DEBUG=1 shows where")
        sys.exit(failed)


def _fill_standard_files() -> None:
    """Opens those that whoever started us closed (`>&-`): else the next files, a database for example, got their numbers, and with them
    what children print."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # the lowest number that is free
    sys.stdin = sys.stdin or open(0, closefd=False)  # noqa: SIM115 - for as long as we run
    sys.stdout = sys.stdout or open(1, "w", closefd=False)  # noqa: SIM115 - for as long as we run
    sys.stderr = sys.stderr or open(2, "w", closefd=False)  # noqa: SIM115 - for as long as we run


def say(sentence: str, level: int = logging.ERROR) -> None:
    """One line on stderr, by the program's name. What stands in it may come from a stranger's file or host: a terminal obeys none of it."""
    from ..scans.text import safe_text
    from .systemd import at_priority

    print(at_priority(f"partywidgets: {safe_text(sentence)}", level), file=sys.stderr, flush=True)
