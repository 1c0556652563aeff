"""Terminal output as plain text: pure functions on escape sequences."""

from __future__ import annotations

import re

_SEQUENCE = re.compile(
    r"\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?"  # OSC … BEL or ST
    r"|\x1b[PX^_].*?(?:\x1b\\|\Z)"  # DCS, SOS, PM, APC … ST
    r"|\x1b\[[0-?]*[ -/]*[@-~]?"  # CSI
    r"|\x1b[ -/]+[0-~]"  # charset and the like
    r"|\x1b[0-~]?"  # two-character escapes, or a lone ESC at the end
    r"|[\x00-\x07\x0b\x0c\x0e-\x1a\x1c-\x1f\x7f]",  # control characters but BS, TAB, LF, CR, ESC
    re.DOTALL,
)
_ZSH_PARTIAL = re.compile(r"\x1b\[1m\x1b\[7m.\x1b\[27m\x1b\[1m\x1b\[0m +\r \r(?=(?:\x1b\[[0-9;?]*[a-zA-Z])*\r?\Z)")
"""zsh's mark of a last line without newline (PROMPT_SP), which it writes after a command's output."""

QUERY_REPLY = re.compile(
    rb"(?:\x1b\[[?>=]?[0-9;]*[cRnt]"  # DA1 to DA3, cursor position, status, window reports
    rb"|\x1b\[\??[0-9;]*\$y"  # DECRPM
    rb"|\x1b\[\?[0-9]+u"  # kitty keyboard flags
    rb"|\x1b\](?:4;[0-9]+|1[0-9]);rgb:[0-9a-fA-F/]+(?:\x07|\x1b\\)"  # colours
    rb"|\x1bP[01>!][$+|r][^\x1b]*\x1b\\)+"  # DECRQSS, XTGETTCAP, XTVERSION
)
"""What an emulator answers by itself to a program's question; nobody typed it."""


def is_query_reply(keystrokes: bytes) -> bool:
    """True when the whole input is an emulator's answer to a query.

    Shift-F3 (`ESC [ 1 ; 2 R`) and a cursor report look alike; with the first number 1 and a modifier it counts as the key.
    """
    if not keystrokes.startswith(b"\x1b") or not QUERY_REPLY.fullmatch(keystrokes):
        return False
    return not re.fullmatch(rb"\x1b\[1;[2-8]R", keystrokes)


_REST, _LINE = "\ufdd0", "\ufdd1"
"""What erases the rest of a line, and all of it, while the other sequences go: Unicode has no such characters."""
_ERASING = {
    "\x1b[K": _REST,
    "\x1b[0K": _REST,
    "\x1b[2K": _LINE,
    "\x1b[G": "\r",
    "\x1b[1G": "\r",
    "\x1b[?47l": "\n",
    "\x1b[?1047l": "\n",
    "\x1b[?1049l": "\n",
}
"""Behind the end of a full-screen program another line begins."""
_MOVES = re.compile(f"[\r\b{_LINE}]")
_PARTS = re.compile(f"([\r\b{_REST}{_LINE}])")


def plain_text(output: str, *, erasing: bool = False) -> str:
    """Output as the lines a person reads: no escape sequences; carriage returns and backspaces take effect.

    `erasing`: what erases a line does so, too, as in what programs print. A shell that edits a line which is longer than a row erases in
    its second row, and here there is one.
    """
    output = _ZSH_PARTIAL.sub("", output)
    if "\x1b" in output or not output.isprintable():
        if erasing:
            for sequence, effect in _ERASING.items():
                output = output.replace(sequence, effect)
        output = _SEQUENCE.sub("", output)
    lines = output.replace("\r\n", "\n").split("\n")
    return "\n".join(_overwritten(line) if _MOVES.search(line) else line.replace(_REST, "") for line in lines)


def _overwritten(line: str) -> str:
    """One line as it stands after its carriage returns, backspaces and erasures: later characters replace the earlier ones there."""
    cells: list[str] = []
    at = 0
    for part in _PARTS.split(line):
        if part == "\r":
            at = 0
        elif part == "\b":
            at = max(at - 1, 0)
        elif part == _REST:
            del cells[at:]
        elif part == _LINE:
            cells.clear()
        elif part:
            cells += " " * (at - len(cells))
            cells[at : at + len(part)] = part
            at += len(part)
    return "".join(cells)


_MODES = re.compile(rb"\x1b(?:\[\?([0-9;]{1,40})([hl])|c)")
_ALTERNATE = {b"47", b"1047", b"1049"}


class ModeReader:
    """Follows the modes that matter for typing a command, in a stream that is cut anywhere, without waiting for an emulator."""

    def __init__(self) -> None:
        self.alternate = False
        """A full-screen program has the terminal."""
        self.bracketed_paste = False
        """The program wants pasted text marked as such."""
        self.cursor_keys = False
        """The program reads keys one by one: top draws on the primary screen."""
        self._tail = b""

    def feed(self, piece: bytes) -> None:
        """Takes output."""
        if not self._tail and b"\x1b" not in piece:
            return
        piece = self._tail + piece
        for found in _MODES.finditer(piece):
            if found[1] is None:
                self.alternate = self.bracketed_paste = self.cursor_keys = False
                continue
            for number in found[1].split(b";"):
                if number in _ALTERNATE:
                    self.alternate = found[2] == b"h"
                elif number == b"2004":
                    self.bracketed_paste = found[2] == b"h"
                elif number == b"1":
                    self.cursor_keys = found[2] == b"h"
        start = piece.rfind(b"\x1b", max(len(piece) - 44, 0))
        self._tail = piece[start:] if start >= 0 and not _MODES.match(piece, start) else b""
