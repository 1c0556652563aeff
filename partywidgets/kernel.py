"""`%load_ext partywidgets`: the magics, snapshots after each cell, and the kernel's own checks. No host is started before it is needed."""

# mypy: disable-error-code="no-untyped-call,untyped-decorator,no-any-return"

from __future__ import annotations

import contextlib
import re
import shutil
import subprocess
import sys
from argparse import ArgumentTypeError, Namespace
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from IPython.core.error import UsageError
from IPython.core.magic import Magics, line_cell_magic, line_magic, magics_class
from IPython.core.magic_arguments import argument, magic_arguments, parse_argstring
from IPython.display import display

from . import offers
from .exceptions import CommandError
from .spelling import nearest
from .widgets._base import keep_snapshots

if TYPE_CHECKING:
    from .client.command import CommandResult
    from .client.handle import Handle
    from .widgets.terminal import Terminal

MAGICS = (("line", "terminal"), ("cell", "terminal"), ("line", "ops"))


def logical_lines(cell: str) -> Iterator[str]:
    """The commands of a cell: its lines, joined to the next where bash says that a command goes on (a backslash, `if`, a quote, `<<`).

    Empty lines and comments between them are left out. Raises CommandError when the last command does not end.
    """
    held = ""
    for line in cell.splitlines():
        held += line
        if not held.strip() or held.lstrip().startswith("#"):
            held = ""
        elif _goes_on(held):
            held += "\n"
        else:
            yield held
            held = ""
    if held.strip() and not held.endswith("\\\n"):
        raise CommandError(
            f"the command that begins with {held.splitlines()[0]!r} does not end in this cell: the shell would wait for the rest"
        )
    if held.strip():
        yield held.rstrip("\\\n")


def _goes_on(command: str) -> bool:
    """True when more lines belong to it. Only reads it; where there is no bash here, the backslash alone counts."""
    if (len(command) - len(command.rstrip("\\"))) % 2:  # of two, the first takes the second's meaning
        return True
    bash = shutil.which("bash")
    if bash is None:
        return False
    try:
        done = subprocess.run([bash, "-n"], input=f"{command}\n".encode(), capture_output=True, env={"LC_ALL": "C"}, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return any(sign in done.stderr for sign in (b"unexpected end of file", b"unexpected EOF", b"delimited by end-of-file"))


def _seconds(text: str) -> float:
    """The seconds of `30`, `5m` or `1.5`."""
    from .duration import parse_duration  # it reads models' fields, too: loading the extension would load pydantic

    try:
        return float(text) if text.replace(".", "", 1).isdecimal() else parse_duration(text)
    except ValueError:
        raise ArgumentTypeError(f"it takes seconds, or a time such as 30s or 5m; got {text!r}") from None


def _read(magic: Any, line: str, takes: str) -> Namespace:
    """What stands behind a magic, quotes around a word taken off. Raises UsageError with one sentence."""
    name = magic.__name__
    try:
        arguments = parse_argstring(magic, line)
    except ValueError:
        raise UsageError(f"%{name}: a quote in {line!r} is not closed") from None
    except UsageError as error:
        if not (found := re.match(r"unrecognized arguments: (.*)", str(error), re.DOTALL)):
            raise
        word = found[1].split()[0]
        options = [option for action in magic.parser._actions for option in action.option_strings if option.startswith("--")]
        remedy = nearest(word, options) if word.startswith("-") else f"it takes {takes}"
        raise UsageError(f"%{name} has no use for {word!r}: {remedy}") from None
    for option, value in vars(arguments).items():
        if isinstance(value, str) and len(value) > 1 and value[0] == value[-1] and value[0] in "'\"":
            setattr(arguments, option, value[1:-1])
    return arguments


@magics_class
class PartyMagics(Magics):
    """`%terminal`, `%%terminal` and `%ops`."""

    def __init__(self, shell: Any) -> None:
        super().__init__(shell)
        self._terminals: dict[tuple[str, str | None], Terminal] = {}

    def _terminal(self, room: str, sandbox: str | None) -> Terminal:
        from .widgets.terminal import Terminal

        terminal = self._terminals.get((room, sandbox))
        if terminal is None or terminal.comm is None:
            terminal = self._terminals[room, sandbox] = Terminal(room, sandbox=sandbox)
        return terminal

    @magic_arguments()
    @argument("room", nargs="?", default="main", help="the terminal's room")
    @argument("--sandbox", "-s", help="a sandbox id of the config, or an address such as docker:web-1")
    @argument("--timeout", "-t", type=_seconds, help="%%%%terminal: seconds that each command may take (default: no limit)")
    @argument(
        "--inside", "-i", action="store_true", help="%%%%terminal: type into the shell that another command has opened there (sudo -i)"
    )
    @argument("--quiet", "-q", action="store_true", help="%%%%terminal: print no output here, only run")
    @line_cell_magic
    def terminal(self, line: str, cell: str | None = None) -> Terminal | None:
        """Shows a shared terminal; with a cell, runs its lines there, one after the other, until one fails."""
        arguments = _read(self.terminal, line, "one room; a machine is --sandbox NAME, and a command stands in a cell below %%terminal")
        if cell is None and (arguments.timeout is not None or arguments.inside or arguments.quiet):
            raise UsageError("--timeout, --inside and --quiet are for commands: write %%terminal, with the commands below it")
        terminal = self._terminal(arguments.room, arguments.sandbox)
        if cell is None:
            return terminal
        for command in list(logical_lines(cell)):
            result = self._run(terminal, terminal.run(command, timeout=arguments.timeout, inside=arguments.inside))
            if not arguments.quiet and result.output.strip():
                if result.output_lost:
                    print(f"partywidgets: of {command!r} the first {result.output_lost:,} bytes are not kept", file=sys.stderr)
                print(result.output.rstrip("\n"))
            if not result.ok:
                how = "without telling its exit code" if result.exit_code is None else f"with exit code {result.exit_code}"
                raise CommandError(f"{command!r} ended {how} in the terminal {terminal.room!r}")
        return None

    @staticmethod
    def _run(terminal: Terminal, handle: Handle[CommandResult]) -> CommandResult:
        try:
            return handle.wait()
        except KeyboardInterrupt:
            # Not a bare Ctrl-C: it may still wait behind somebody else's command.
            terminal.interrupt()
            raise

    @magic_arguments()
    @argument("config", nargs="?", help="a partywidgets.yaml to load first (default: show what is loaded)")
    @line_magic
    def ops(self, line: str) -> None:
        """Shows the ops dashboard; with a config, loads it into the host before."""
        from .widgets.ops import ops

        arguments = _read(self.ops, line, "one config")
        display(ops(arguments.config).wait())
        _warn(offers.refusal())


def _after_cell(_: Any) -> None:
    keep_snapshots()
    _warn(offers.after_cell())


def _warn(sentence: str | None) -> None:
    if sentence is not None:
        print(f"partywidgets: {sentence}", file=sys.stderr)


def load_ipython_extension(shell: Any) -> None:
    """Registers everything in an IPython shell."""
    shell.register_magics(PartyMagics(shell))
    shell.events.register("post_run_cell", _after_cell)
    offers.watch()


def unload_ipython_extension(shell: Any) -> None:
    """Undoes `load_ipython_extension`. Widgets that are there stay alive, and so do their rooms."""
    offers.unwatch()
    with contextlib.suppress(ValueError):
        shell.events.unregister("post_run_cell", _after_cell)
    for kind, name in MAGICS:
        shell.magics_manager.magics[kind].pop(name, None)
