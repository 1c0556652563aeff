"""A part of a screen in a window of another size, drawn into an emulator of that size."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from partywidgets.cli.pane import Pane
from partywidgets.terminal.emulator import Emulator

ROOM = (120, 40)


class Window:
    """A window of its own size that a pane draws into."""

    def __init__(self, columns: int, lines: int) -> None:
        self.size = (columns, lines)
        self.seen = Emulator(columns, lines, scrollback=0)

    def shows(self, pane: Pane) -> list[str]:
        """Its rows after the pane was drawn."""
        self.seen.feed(pane.draw(*self.size))
        return (self.seen.text().split("\n") + [""] * self.size[1])[: self.size[1]]

    def cells(self) -> list[bytes]:
        return [self.seen.part(row, 0, self.size[0] - 1) for row in range(self.size[1])]


@pytest.fixture
def pane() -> Iterator[Pane]:
    """A pane of a room of 120 columns and 40 rows."""
    made = Pane.of(*ROOM)
    yield made
    made.close()


def test_what_is_around_the_cursor_is_shown(pane: Pane) -> None:
    """The rows down to the cursor, and to the right of where it was once it leaves the window; at a line's start the view comes back."""
    window = Window(80, 24)
    pane.feed(b"".join(b"line %d\r\n" % number for number in range(39)) + b"$ ")
    assert window.shows(pane) == [*(f"line {number}" for number in range(16, 39)), "$"]
    assert window.seen.cursor == (2, 23)
    pane.feed(b"x" * 80 + b"END")
    assert window.shows(pane)[-1] == "x" * 57 + "END"
    assert window.seen.cursor == (60, 23)
    pane.feed(b"\r")
    assert window.shows(pane)[-1] == "$ " + "x" * 78
    pane.feed(b"\x1b[5;3H")
    assert window.shows(pane)[:2] == ["line 0", "line 1"]


def test_a_room_smaller_than_the_window(pane: Pane) -> None:
    """It stands in the upper left corner, and its lines end where its own do."""
    window = Window(200, 60)
    pane.feed(b"y" * 130)
    assert window.shows(pane)[:3] == ["y" * 120, "y" * 10, ""]
    assert window.seen.cursor == (10, 1)


def test_only_what_changed_is_drawn(pane: Pane) -> None:
    """An echo costs its row; nothing new costs nothing; a reset of the room, as a fresh screen has it, draws all anew."""
    window = Window(80, 24)
    pane.feed(b"\x1b[1;1Hone\x1b[2;1Htwo")
    window.shows(pane)
    assert pane.draw(80, 24) == b""
    pane.feed(b"!")
    drawn = pane.draw(80, 24)
    assert b"two!" in drawn
    assert b"one" not in drawn
    pane.feed(b"\x1bcone")
    assert pane.draw(80, 24).count(b"\x1bc") == 1


def test_keys_are_what_the_program_wants(pane: Pane) -> None:
    """Cursor keys, keypad and bracketed paste as the room's program set them, the cursor hidden where it is hidden; no mouse reports."""
    window = Window(80, 24)
    pane.feed(b"\x1b[?1h\x1b=\x1b[?2004h\x1b[?25l\x1b[?1003h")
    window.shows(pane)
    assert [window.seen.mode(mode) for mode in (1, 66, 2004, 25, 1003)] == [True, True, True, False, False]
    pane.feed(b"\x1b[?1l\x1b>\x1b[?2004l\x1b[?25h")
    window.shows(pane)
    assert [window.seen.mode(mode) for mode in (1, 66, 2004, 25)] == [False, False, False, True]


def test_a_wide_character_that_an_edge_cuts_is_a_blank(pane: Pane) -> None:
    """On both sides; what stands beside it keeps its column."""
    window = Window(11, 3)
    pane.feed(("字" * 9).encode() + b"\x1b[1;20H")
    assert window.shows(pane)[0] == " 字字字", "columns 11 to 21: half of the sixth, three, and what is empty"
    pane.feed(b"\x1b[1;1H")
    assert window.shows(pane)[0] == "字字字字字", "columns 0 to 10: five, and half of the sixth"


@pytest.mark.parametrize("seed", range(20))
def test_any_screen_is_shown_cell_by_cell(seed: int) -> None:
    """Whatever moves, colours and scrolls: the window's cells are the room's, from wherever the view stands."""
    chance = random.Random(seed)
    room, window = (chance.randint(20, 140), chance.randint(5, 50)), Window(chance.randint(10, 140), chance.randint(4, 50))
    pane, whole = Pane.of(*room), Emulator(*room, scrollback=0)
    words = [
        b"text ",
        "字画".encode(),
        "e\u0301".encode(),
        b"\r\n",
        b"\x1b[3%dm",
        b"\x1b[4%dm",
        b"\x1b[1m",
        b"\x1b[0m",
        b"\x1b[%d;%dH",
        b"\x1b[K",
    ]
    words += [b"\x1b[2J", b"\x1b[?1049h", b"\x1b[?1049l", b"\x1b[2;4r", b"\x1b[r", b"\x1bM", b"\x1b[3P", b"\t"]
    for _ in range(60):
        for _ in range(chance.randint(1, 12)):
            word = chance.choice(words)
            if b"%d;%d" in word:
                word %= (chance.randint(1, room[1]), chance.randint(1, room[0]))
            elif b"%d" in word:
                word %= chance.randint(0, 7)
            pane.feed(word)
            whole.feed(word)
        window.shows(pane)
        (column, row), (at, line) = whole.cursor, window.seen.cursor
        left, top = column - at, row - line
        assert left >= 0
        assert top >= 0
        for y in range(window.size[1]):
            shown = window.seen.part(y, 0, window.size[0] - 1)
            last = min(left + window.size[0], room[0]) - 1
            assert shown.rstrip() == (whole.part(top + y, left, last) if top + y < room[1] else b"").rstrip()
    pane.close()
    whole.close()
