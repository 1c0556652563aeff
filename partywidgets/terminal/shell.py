"""Shell integration: how a shell is started so that it marks its prompts and commands, and how the marks are read. Pure.

The marks are VS Code's (OSC 633), each with a nonce behind its fields, so that output cannot forge one. bash and zsh mark everything;
a plain sh (dash, busybox ash) marks its prompt, which carries the exit code; where we cannot start the shell ourselves, `wrapped`
types the marks around the command.
"""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass, field
from importlib import resources

from .vt import plain_text

_OPEN = b"\x1b]633;"
_LONGEST = 64 * 1024
"""A mark longer than this is not one."""


def new_nonce() -> str:
    """What a shell proves its marks with."""
    return secrets.token_hex(8)


@dataclass(frozen=True, slots=True)
class Mark:
    """One mark: `kind` A B C D E F or P, its fields without the nonce, the offsets of its first byte and behind its last."""

    kind: str
    fields: tuple[str, ...]
    start: int
    end: int


class MarkReader:
    """Finds the marks of one nonce in a stream that is cut anywhere."""

    def __init__(self, nonce: str) -> None:
        self._nonce = nonce
        self._kept = b""

    def feed(self, piece: bytes, offset: int) -> list[Mark]:
        """The marks that end in `piece`, whose first byte is at `offset`."""
        if not self._kept and b"\x1b" not in piece:
            return []
        offset -= len(self._kept)
        piece = self._kept + piece
        self._kept = b""
        marks: list[Mark] = []
        at = 0
        while (start := piece.find(_OPEN, at)) >= 0:
            end = _end(piece, start + len(_OPEN))
            if end is None:
                if len(piece) - start <= _LONGEST:
                    self._kept = piece[start:]
                return marks
            body_end, at = end
            mark = self._mark(piece[start + len(_OPEN) : body_end], offset + start, offset + at)
            if mark is not None:
                marks.append(mark)
        tail = piece[max(at, len(piece) - len(_OPEN) + 1) :]
        for size in range(len(tail), 0, -1):
            if _OPEN.startswith(tail[-size:]):
                self._kept = tail[-size:]
                break
        return marks

    def _mark(self, body: bytes, start: int, end: int) -> Mark | None:
        kind, *fields = body.decode("utf-8", "replace").split(";")
        if not fields or not secrets.compare_digest(fields[-1].encode(), self._nonce.encode()):
            return None
        return Mark(kind, tuple(_unescape(value) for value in fields[:-1]), start, end)


def _end(piece: bytes, at: int) -> tuple[int, int] | None:
    """Where the body of an OSC ends, and where what follows begins."""
    bell, escape = piece.find(b"\x07", at), piece.find(b"\x1b", at)
    if bell >= 0 and (escape < 0 or bell < escape):
        return bell, bell + 1
    if escape < 0 or escape + 1 >= len(piece):
        return None
    return escape, escape + (2 if piece[escape + 1] == 0x5C else 0)


def _unescape(value: str) -> str:
    return re.sub(r"\\(?:x([0-9a-fA-F]{2})|(\\))", lambda found: chr(int(found[1], 16)) if found[1] else "\\", value)


@dataclass(frozen=True, slots=True)
class Start:
    """How a shell is started: argument vector and what goes into its environment."""

    argv: list[str]
    environ: dict[str, str] = field(default_factory=dict)
    marked: bool = True
    """False: this shell cannot mark its prompts, so `run` refuses."""


def _script(name: str) -> str:
    return resources.files(__package__).joinpath("integration", *name.split("/")).read_text()


def _prompt(nonce: str, text: str, *, edited: bool) -> str:
    """PS1 for a shell without hooks: the marks are in the prompt itself. `edited`: the shell must know what takes no room."""
    left, right = ("\\[", "\\]") if edited else ("", "")

    def mark(body: str) -> str:
        return f"{left}\x1b]633;{body};{nonce}\x07{right}"

    return mark("D;$?") + mark("P;Cwd=$PWD") + mark("P;Shell=sh") + mark("A") + text + mark("B")


def _second_prompt(nonce: str) -> str:
    """PS2 of such a shell, which does not edit the line: the mark says that a command goes on."""
    return f"\x1b]633;F;$?;{nonce}\x07> "


def local_start(shell: str, nonce: str, environ: dict[str, str]) -> Start:
    """An interactive local shell with our marks where it can have them. `environ` is the one that it will get."""
    name = shell.rsplit("/", 1)[-1]
    files = resources.files(__package__).joinpath("integration")
    if name == "bash":
        return Start([shell, "--rcfile", str(files.joinpath("bash.sh")), "-i"], {"__PW_NONCE": nonce})
    if name == "zsh":
        own = {"__PW_NONCE": nonce, "ZDOTDIR": str(files.joinpath("zsh"))}
        if "ZDOTDIR" in environ:
            own["__PW_ZDOTDIR"] = environ["ZDOTDIR"]
        return Start([shell, "-i"], own)
    if name in ("sh", "dash", "ash"):
        return Start([shell, "-i"], {"PS1": _prompt(nonce, "$ ", edited=False), "PS2": _second_prompt(nonce)})
    return Start([shell], marked=False)


def container_start(nonce: str, shell: str = "") -> Start:
    """The command that opens a shell in a container that has at least /bin/sh: `shell`, or the first of bash, zsh and sh that is there."""
    environ = {
        "__PW_NONCE": nonce,
        "__PW_SHELL": shell,
        "__PW_BASH": "unset __PW_BASH __PW_ZSHENV __PW_ZSHRC __PW_PS1 __PW_PS1_EDITED\n" + _script("bash.sh"),
        "__PW_ZSHENV": _script("zsh/.zshenv"),
        "__PW_ZSHRC": "unset __PW_PS1 __PW_PS1_EDITED\n" + _script("zsh/.zshrc"),
        "__PW_PS1": _prompt(nonce, "$ ", edited=False),
        "__PW_PS1_EDITED": _prompt(nonce, "\\w \\$ ", edited=True),
    }
    return Start(["/bin/sh", "-c", _script("container.sh")], environ)


def guard_command(pid: int, born: str, before: str, before_born: str, replaced_within: int) -> list[str]:
    """The command that ends a shell which its host has left (see `integration/guard.sh`)."""
    return ["/bin/sh", "-c", _script("guard.sh"), "partywidgets-guard", str(pid), born, before, before_born, str(replaced_within)]


def pid_mark(nonce: str) -> re.Pattern[bytes]:
    """Finds in a container's first output which process its shell is, and when that began ("" where it does not say)."""
    return re.compile(rb"\x1b\]633;P;Pid=(\d+),(\d*);" + re.escape(nonce.encode()) + rb"\x07")


def quoted(command: str) -> str:
    """A command as one word of a POSIX shell."""
    return "'" + command.replace("'", "'\\''") + "'"


_RECALLS = re.compile(r"!(?![\s=]|\Z)")
"""What an interactive bash or zsh would replace by an earlier command, outside of single quotes."""
_KEYS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
"""What would press keys instead of being typed."""


def command_line(command: str, *, bracketed_paste: bool) -> str:
    """A command as it is typed: several lines become one group where they can be pasted as one text, else one line with them quoted.

    A command with a `!` is quoted too: a shell that has no such earlier command shows its prompt again and tells nothing. Control
    characters are escaped.
    """
    command = command.replace("\r\n", "\n").strip("\r\n")
    if all(line.lstrip().startswith("#") for line in command.split("\n") if line.strip()):
        command = f": {' '.join(command.split())}"  # shells keep the code from before for it, or take a group of nothing for a mistake
    recalls, keys = _RECALLS.search(command) is not None, _KEYS.search(command if bracketed_paste else command.replace("\t", "\x00"))
    if keys is None and (bracketed_paste or "\n" not in command):
        if recalls:
            return f"eval {quoted(command)}"
        return "{ " + command + "\n}" if "\n" in command else command
    # In double quotes single ones keep no `!` from being replaced.
    escaped = re.sub(r"[\x00-\x1f\x7f!]", _escaped, command.replace("\\", "\\\\"))
    return f'eval "$(printf %b {quoted(escaped)})"'


_LOOSE = re.compile(r"[^!-~]|[;\\]")
_COMPARED = 1000
"""Characters of a command that are compared: bash tells 4 KiB at most."""


def same_line(told: str, line: str) -> bool:
    """True unless a command that a shell tells of is surely another than `line`, which was typed. Of several lines bash leaves comments
    out: there the first words are compared."""
    if "\n" in line:
        return told.split(None, 1)[:1] == line.split(None, 1)[:1]
    first, second = (_LOOSE.sub("", text[:_COMPARED])[: _COMPARED // 4] for text in (told, line))
    return first == second


def _escaped(found: re.Match[str]) -> str:
    return "\\n" if found[0] == "\n" else f"\\0{ord(found[0]):03o}"


EMPTY = b"\x05\x15"
"""Ctrl-E and Ctrl-U, which empty a half-typed line in a shell that edits it, and in a terminal that does."""
FRESH = b"S" + EMPTY
"""The same where vi's command mode may be on and CLEAR is not bound: there `S` empties the line for new text, elsewhere it is a letter that
goes with the others. It comes first, since Ctrl-E in command mode changes bash's keys to Emacs'."""
CLEAR = b"\x1b[633~"
"""The key that our start files of bash and zsh bind for it, which also leaves vi's command mode."""


def keystrokes(line: str, *, bracketed_paste: bool, clear: bool = False) -> bytes:
    """What to type at a marked prompt to run a line of `command_line`: what stands there half-typed goes first.

    `clear`: the shell has read one of our start files, and knows the key CLEAR.
    """
    text = line.encode()
    if bracketed_paste:
        text = b"\x1b[200~" + text.replace(b"\x1b", b"") + b"\x1b[201~"
    return (CLEAR if clear else b"") + EMPTY + text + b"\r"


def wrapped(command: str, nonce: str) -> bytes:
    """The keystrokes that run a command in a shell that we did not start, on an empty line: it prints the marks itself."""
    before = f"printf '\\033]633;C;{nonce}\\007'"
    after = f'printf \'\\033]633;D;%s;{nonce}\\007\\033]633;P;Cwd=%s;{nonce}\\007\' "$?" "$PWD"'
    line = command_line(command, bracketed_paste=False)
    return FRESH + f"{before};eval {quoted(line)};{after}".encode() + b"\r"


def printed(output: bytes) -> str:
    """A command's output between its marks as text: no escape sequences, no last newline."""
    return plain_text(output.decode("utf-8", "replace"), erasing=True).rstrip("\n")


def behind_echo(output: bytes, line: str) -> str | None:
    """The same where the start is not marked: `output` begins at the prompt, with the echo of `line` and the end of that line.

    None when the echo is not there whole: the line was not run yet.
    """
    text = plain_text(output.decode("utf-8", "replace"))
    at = 0
    for wanted in "".join(line.split()):
        at = text.find(wanted, at) + 1
        if not at:
            return None
    newline = text.find("\n", at)
    return text[newline + 1 :].rstrip("\n") if newline >= 0 else None
