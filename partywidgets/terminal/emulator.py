"""A libghostty terminal (pyghostty), through its C interface: drawings that rebuild both screens, text, HTML.

Nothing here knows of the loop; `screen.py` runs it in threads. Its scrollback is bounded by bytes: with libghostty's bound by lines,
every new line moves the rows of a page, and a full scrollback takes text five times, short lines ten times as long.
Hostile output (`CSI 2 J` thousands of times on a 1000×1000 screen) takes seconds for 64 KB, which is why it never runs on the loop.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from pyghostty._ffi import ffi, lib
from pyghostty.core import Terminal, check, init_sized, read_buf

from .links import CLOSED, OPEN, linked
from .markup import to_html

_SCROLLBACK_BYTES = 64 << 20
"""The most that a scrollback takes, however wide its lines."""
_ROW_BYTES, _CELL_BYTES, _PAGE_BYTES = 16, 8.5, 1 << 20
"""What libghostty's pages cost (measured from 20 to 1000 columns): a row, a cell, and what is dropped in one go at the old end."""
_NO_LINE_LIMIT = 1 << 40
_CONTINUATION_BYTES = 64 * 1024
_UNKNOWN_SEQUENCE = b"\x1b]99999;"
"""Stands for the beginning of a longer one (a picture, a huge title): whoever gets its end ignores it instead of showing it as text."""
_SAMPLE_ROWS = 200
_LEAVE_ALTERNATE = b"\x1b[?1049l"
_ENTER_ALTERNATE = b"\x1b[?1049h\x1b[0m" + CLOSED.encode() + b"\x1b[H"
_BRACKETED_PASTE, _ORIGIN = 2004, 6
_SWITCH = re.compile(r"\x1b\[\?(?:47|1047|1049)[hl]")
"""The switch to the alternate screen is ours to place; a second one would clear it."""


class Drawing(NamedTuple):
    """What draws a terminal; `short`: lines above its screen are left out."""

    output: bytes
    short: bool


class Emulator:
    """One terminal. `scrollback` is in lines. Not safe for two threads at once."""

    def __init__(self, cols: int, rows: int, *, scrollback: int = 10_000) -> None:
        self.scrollback = scrollback
        self._terminal = Terminal(cols, rows, scrollback=_NO_LINE_LIMIT if scrollback else 0)
        _set(self._terminal, "SCROLLBACK_MAX_BYTES", _bytes_of(scrollback, cols, rows))
        _set(self._terminal, "CONTINUATION_MAX_BYTES", _CONTINUATION_BYTES)
        self._links, self._tail = False, b""
        """Whether there ever was a hyperlink: looking for them takes longer than all else in a drawing."""

    def feed(self, output: bytes) -> None:
        """Draws output, cut anywhere."""
        if output:
            if not self._links:
                self._links = OPEN in output or OPEN in self._tail + output[: len(OPEN)]
                self._tail = output[-len(OPEN) :]
            self._terminal.feed(output)

    def resize(self, cols: int, rows: int) -> None:
        """Sets the size; lines of the primary screen are wrapped anew."""
        kept, wanted = (_bytes_of(self.scrollback, *size) for size in (self.size, (cols, rows)))
        if wanted > kept:
            _set(self._terminal, "SCROLLBACK_MAX_BYTES", wanted)
        self._terminal.resize(cols, rows)
        if wanted < kept:
            _set(self._terminal, "SCROLLBACK_MAX_BYTES", wanted)
        if self.alternate:
            self._erase_halves()

    def _erase_halves(self) -> None:
        """Erases wide characters that a narrower alternate screen, which is not wrapped anew, cuts in two: libghostty has no copy of such
        a screen. Not in origin mode, where the cursor cannot be put back."""
        if self._terminal.mode(_ORIGIN):
            return
        cols, rows = self.size
        column, row = self.cursor
        for y in range(rows):
            if self._wide(cols - 1, y) == lib.GHOSTTY_CELL_WIDE_WIDE:
                self.feed(b"\x1b[%d;%dH\x1b[X\x1b[%d;%dH" % (y + 1, cols, row + 1, column + 1))

    def _wide(self, column: int, row: int) -> int:
        """Whether a visible cell is one, or which half of a wide one (`GHOSTTY_CELL_WIDE_…`)."""
        cell, wide = ffi.new("GhosttyCell*"), ffi.new("int*")
        check(lib.ghostty_grid_ref_cell(self._terminal.ref(column, row), cell), "grid_ref_cell")
        check(lib.ghostty_cell_get(cell[0], lib.GHOSTTY_CELL_DATA_WIDE, wide), "cell_get")
        return int(wide[0])

    @property
    def cursor(self) -> tuple[int, int]:
        """Its column and row on the visible screen, from 0."""
        column, row = self._terminal.cursor
        return int(column), int(row)

    def mode(self, number: int) -> bool:
        """Whether a DEC private mode is set."""
        return bool(self._terminal.mode(number))

    @property
    def size(self) -> tuple[int, int]:
        """Columns and rows."""
        cols, rows = self._terminal.size
        return int(cols), int(rows)

    @property
    def alternate(self) -> bool:
        """True while a full-screen program has the alternate screen."""
        return bool(self._terminal.get("active_screen", "int") == lib.GHOSTTY_TERMINAL_SCREEN_ALTERNATE)

    @property
    def undisturbed(self) -> bool:
        """True when no sequence is unfinished and the whole screen scrolls: then what comes is text, and each line moves the oldest out."""
        if not self._terminal.get("vt_ground", "bool"):
            return False
        cell = init_sized("GhosttySelection")
        cell.start = cell.end = self._terminal.ref(0, 0)[0]
        return _format(self._terminal, "VT", selection=cell) == _format(self._terminal, "VT", selection=cell, region=True)

    @property
    def bracketed_paste(self) -> bool:
        """True when the program wants pasted text marked as such."""
        return self.mode(_BRACKETED_PASTE)

    def drawing(self, limit: int, scrollback: int | None = None) -> Drawing:
        """What draws both screens, scrollback, modes, scroll region and cursor on a terminal of this size after a reset.

        An unfinished sequence stands at their end. At most about `limit` bytes, and `scrollback` of the lines above the screen (None: as
        `limit`): the oldest of them are left out first.
        What it cannot carry: the title, and that two hyperlinks have the same `id`.
        """
        if not self.alternate:
            output, short = _drawing(self._terminal, limit, self.scrollback, scrollback, links=self._links)
            return Drawing(output + self._continuation(), short)
        twin = _twin(self._terminal)
        try:
            # The formatter writes the active screen only, so the primary one is drawn from a copy that left the alternate.
            twin.feed(_LEAVE_ALTERNATE)
            column, row = twin.cursor
            # The scroll region is the full-screen program's; resetting it homes the cursor, which 1049 then saves.
            primary, short = _drawing(twin, limit, self.scrollback, scrollback, links=self._links)
            primary += b"\x1b[r\x1b[%d;%dH" % (row + 1, column + 1)
        finally:
            twin.close()
        alternate, _ = _drawing(self._terminal, limit, self.scrollback, scrollback, links=self._links)
        return Drawing(primary + _ENTER_ALTERNATE + alternate + self._continuation(), short)

    def _continuation(self) -> bytes:
        size = ffi.new("size_t*")
        if lib.ghostty_terminal_continuation_buf(self._terminal._t[0], ffi.NULL, 0, size) == lib.GHOSTTY_INVALID_VALUE:
            return _UNKNOWN_SEQUENCE  # it is longer than what libghostty keeps
        room = ffi.new("uint8_t[]", max(size[0], 1))
        if lib.ghostty_terminal_continuation_buf(self._terminal._t[0], room, len(room), size):
            return b""
        return bytes(ffi.buffer(room, size[0]))

    def text(self) -> str:
        """The visible screen: rows as displayed, without trailing blanks."""
        return str(self._terminal.text())

    def part(self, row: int, first: int, last: int) -> bytes:
        """A visible row from column `first` to `last`, with its styles; of a wide character that an end cuts in two a blank is left."""
        head = tail = ""
        if self._wide(first, row) == lib.GHOSTTY_CELL_WIDE_SPACER_TAIL:
            first, head = first + 1, " "
        if first <= last and self._wide(last, row) == lib.GHOSTTY_CELL_WIDE_WIDE:
            last, tail = last - 1, "\x1b[0m "
        if first > last:
            return (head + tail).encode()
        selection = init_sized("GhosttySelection")
        selection.start, selection.end = self._terminal.ref(first, row)[0], self._terminal.ref(last, row)[0]
        return (head + _format(self._terminal, "VT", selection=selection) + tail).encode()

    def html(self) -> str:
        """The visible screen as one `<pre>` with inline style and nothing that runs."""
        return to_html(_format(self._terminal, "VT", selection=self._visible()))

    def _visible(self) -> Any:
        cols, rows = self.size
        selection = init_sized("GhosttySelection")
        selection.start, selection.end = self._terminal.ref(0, 0)[0], self._terminal.ref(cols - 1, rows - 1)[0]
        return selection

    def close(self) -> None:
        """Frees it. Nothing may be asked afterwards."""
        self._terminal.close()


def _set(terminal: Any, option: str, value: int) -> None:
    check(lib.ghostty_terminal_set(terminal._t[0], getattr(lib, f"GHOSTTY_TERMINAL_OPT_{option}"), ffi.new("size_t*", value)), option)


def _format(terminal: Any, kind: str, *, extra: bool = False, region: bool = False, selection: Any = None, unwrap: bool = False) -> str:
    options = init_sized("GhosttyFormatterTerminalOptions")
    options.emit = getattr(lib, f"GHOSTTY_FORMATTER_FORMAT_{kind}")
    options.unwrap = unwrap
    options.trim = False
    options.extra.scrolling_region = extra or region
    if extra:
        options.extra.modes = options.extra.keyboard = True
        screen = options.extra.screen
        screen.cursor = screen.style = screen.hyperlink = screen.protection = screen.kitty_keyboard = screen.charsets = True
    if selection is not None:
        options.selection = selection
    formatter = ffi.new("GhosttyFormatter*")
    check(lib.ghostty_formatter_terminal_new(ffi.NULL, formatter, terminal._t[0], options[0]), "formatter_new")
    try:
        return str(read_buf(lambda room, size, n: lib.ghostty_formatter_format_buf(formatter[0], room, size, n)))
    finally:
        lib.ghostty_formatter_free(formatter[0])


def _selection(terminal: Any, first: int) -> Any:
    """From a row, counted from the oldest of the scrollback, to the end of the screen."""
    selection = init_sized("GhosttySelection")
    last = int(terminal.get("total_rows", "size_t")) - 1
    selection.start = terminal.ref(0, first, tag="screen")[0]
    selection.end = terminal.ref(int(terminal.size[0]) - 1, last, tag="screen")[0]
    return selection


def _bytes_of(scrollback: int, cols: int, rows: int) -> int:
    """Bytes in which a scrollback of so many lines has room."""
    return min(int((scrollback + rows) * (cols * _CELL_BYTES + _ROW_BYTES)) + _PAGE_BYTES, _SCROLLBACK_BYTES) if scrollback else 0


def _drawing(terminal: Any, limit: int, scrollback: int, above: int | None, *, links: bool) -> Drawing:
    """The active screen: its text, with at most `scrollback` lines and `above` bytes of what is above it, then its modes, scroll region and
    cursor. `links`: there may be some, which are left out where even those of the visible screen are too long."""
    rows = int(terminal.size[1])
    history = int(terminal.get("total_rows", "size_t")) - rows
    # The newest rows tell about how many fit: drawing all of a long scrollback, to cut it, costs as much as drawing what is kept.
    sample = min(history, scrollback, _SAMPLE_ROWS)
    each = len(_text(terminal, history - sample, links=links)) / (sample + rows)
    if above is None:
        room, kept = limit, max(sample, int(limit / each) - rows if each else scrollback)
    else:
        room = min(limit, len(_text(terminal, history, links=links)) + above)
        kept = int(above / each) if each else scrollback
    kept = min(history, scrollback, kept)
    while True:
        body = _text(terminal, history - kept, links=links)
        if len(body) <= (room if kept else limit) or not (kept or links):
            break
        if kept:
            kept = min(kept - 1, int(kept * room / len(body) * 0.95))
        else:
            links = False
    visible = _selection(terminal, history)
    screen = _format(terminal, "VT", selection=visible)
    around = _format(terminal, "VT", selection=visible, extra=True)
    at = around.find(screen)
    # Modes come behind the text, which is drawn in a terminal's first state: with wrapping on and nothing inserted.
    modes = around[:at] + around[at + len(screen) :] if at >= 0 else around
    return Drawing(body + _blank_rows(terminal, rows, kept) + _SWITCH.sub("", modes).encode(), kept < min(history, scrollback))


def _text(terminal: Any, first: int, *, links: bool) -> bytes:
    """What stands from a row on, with its styles and hyperlinks."""
    selection = _selection(terminal, first)
    drawn = _format(terminal, "VT", selection=selection, unwrap=True)
    if links:
        markup = _format(terminal, "HTML", selection=selection, unwrap=True)
        drawn = linked(terminal, first, drawn, markup, lambda: _format(terminal, "VT", selection=selection))
    return drawn.encode()


def _blank_rows(terminal: Any, rows: int, kept: int) -> bytes:
    """The newlines behind a drawing with `kept` rows of scrollback: the formatter leaves out blank rows at the end."""
    if not kept:
        return b""
    last, looked = int(terminal.get("total_rows", "size_t")), 0
    while looked < rows + kept:
        looked = min(max(rows, 8 * looked), rows + kept)
        drawn = _format(terminal, "VT", selection=_selection(terminal, last - looked))
        if drawn:
            return b"\r\n" * (looked - 1 - drawn.count("\r\n"))
    return b"\r\n" * (looked - 1)


def _twin(terminal: Any) -> Any:
    """A copy of a terminal: both screens, scrollback and modes."""
    size = ffi.new("size_t*")
    lib.ghostty_snapshot_encode_buf(terminal._t[0], ffi.NULL, 0, size)
    room = ffi.new("uint8_t[]", max(size[0], 1))
    check(lib.ghostty_snapshot_encode_buf(terminal._t[0], room, len(room), size), "snapshot_encode")
    decoder = ffi.new("GhosttySnapshotDecoder*")
    check(lib.ghostty_snapshot_decoder_new_buf(ffi.NULL, decoder, room, size[0]), "snapshot_decoder_new")
    try:
        twin = Terminal(2, 2)
        twin.close()
        twin._t = ffi.new("GhosttyTerminal*")
        check(lib.ghostty_snapshot_decoder_decode(decoder[0], twin._t), "snapshot_decode")
    finally:
        lib.ghostty_snapshot_decoder_free(decoder[0])
    return twin
