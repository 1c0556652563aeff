"""A libghostty terminal (pyghostty), through its C interface: drawings that rebuild both screens, text, HTML.

Nothing here knows of the loop; `screen.py` runs it in threads. Measured on pyghostty 0.1.3: 290–340 MB/s of coloured log lines,
a drawing of 9,900 lines of scrollback in 9 ms. Hostile output (`CSI 2 J` thousands of times on a 1000×1000 screen) takes seconds
for 64 KB, which is why it never runs on the loop.
"""

from __future__ import annotations

from typing import Any

from pyghostty._ffi import ffi, lib
from pyghostty.core import Terminal, check, init_sized, read_buf

from .markup import to_html

_SCROLLBACK_BYTES = 64 << 20
_CONTINUATION_BYTES = 64 * 1024
_LEAVE_ALTERNATE = b"\x1b[?1049l"
_ENTER_ALTERNATE = b"\x1b[?1049h\x1b[0m\x1b[H"
_BRACKETED_PASTE = 2004


class Emulator:
    """One terminal. `scrollback` is in lines. Not safe for two threads at once."""

    def __init__(self, cols: int, rows: int, *, scrollback: int = 10_000) -> None:
        self._terminal = Terminal(cols, rows, scrollback=scrollback)
        self._set("SCROLLBACK_MAX_BYTES", _SCROLLBACK_BYTES if scrollback else 0)
        self._set("CONTINUATION_MAX_BYTES", _CONTINUATION_BYTES)

    def _set(self, option: str, value: int) -> None:
        check(
            lib.ghostty_terminal_set(self._terminal._t[0], getattr(lib, f"GHOSTTY_TERMINAL_OPT_{option}"), ffi.new("size_t*", value)),
            option,
        )

    def feed(self, output: bytes) -> None:
        """Draws output, cut anywhere."""
        if output:
            self._terminal.feed(output)

    def resize(self, cols: int, rows: int) -> None:
        """Sets the size; lines of the primary screen are wrapped anew."""
        self._terminal.resize(cols, rows)

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
    def bracketed_paste(self) -> bool:
        """True when the program wants pasted text marked as such."""
        return bool(self._terminal.mode(_BRACKETED_PASTE))

    def drawing(self, limit: int) -> bytes:
        """Bytes that draw both screens, scrollback, modes, scroll region and cursor on a terminal of this size after a reset.

        An unfinished sequence stands at their end. At most about `limit` bytes: the oldest lines of scrollback are left out first.
        What it cannot carry: hyperlinks (OSC 8) and the title.
        """
        if not self.alternate:
            return _drawing(self._terminal, limit) + self._continuation()
        twin = _twin(self._terminal)
        try:
            # The formatter writes the active screen only, so the primary one is drawn from a copy that left the alternate.
            twin.feed(_LEAVE_ALTERNATE)
            column, row = twin.cursor
            # The scroll region is the full-screen program's; resetting it homes the cursor, which 1049 then saves.
            primary = _drawing(twin, limit) + b"\x1b[r\x1b[%d;%dH" % (row + 1, column + 1)
        finally:
            twin.close()
        return primary + _ENTER_ALTERNATE + _drawing(self._terminal, limit) + self._continuation()

    def _continuation(self) -> bytes:
        size = ffi.new("size_t*")
        lib.ghostty_terminal_continuation_buf(self._terminal._t[0], ffi.NULL, 0, size)
        room = ffi.new("uint8_t[]", max(size[0], 1))
        if lib.ghostty_terminal_continuation_buf(self._terminal._t[0], room, len(room), size):
            return b""
        return bytes(ffi.buffer(room, size[0]))

    def text(self) -> str:
        """The visible screen: rows as displayed, without trailing blanks."""
        return str(self._terminal.text())

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


def _format(terminal: Any, kind: str, *, extra: bool = False, selection: Any = None, unwrap: bool = False) -> str:
    options = init_sized("GhosttyFormatterTerminalOptions")
    options.emit = getattr(lib, f"GHOSTTY_FORMATTER_FORMAT_{kind}")
    options.unwrap = unwrap
    options.trim = False
    if extra:
        options.extra.modes = options.extra.scrolling_region = options.extra.keyboard = True
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


def _drawing(terminal: Any, limit: int) -> bytes:
    whole = _format(terminal, "VT", extra=True, unwrap=True).encode()
    cols, rows = terminal.size
    total = int(terminal.get("total_rows", "size_t"))
    while len(whole) > limit and total > rows:
        total = max(rows, min(total - 1, int(total * limit / len(whole) * 0.95)))
        selection = init_sized("GhosttySelection")
        first = int(terminal.get("total_rows", "size_t")) - total
        selection.start = terminal.ref(0, first, tag="screen")[0]
        selection.end = terminal.ref(cols - 1, first + total - 1, tag="screen")[0]
        whole = _format(terminal, "VT", extra=True, selection=selection, unwrap=True).encode()
    return whole


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
