"""Hyperlinks (OSC 8): whoever joins late has them on the same cells, with the same addresses, as one who saw them come."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from tests.terminal.conftest import Serve
from tests.terminal.screens.compare import SIZE, assert_same, late_steps
from tests.terminal.screens.xterm import Xterm
from tests.terminal.viewers import Viewer

emulator = pytest.importorskip("partywidgets.terminal.emulator", reason="pyghostty has no wheel here")

QUERY = f"?cols={SIZE[0]}&rows={SIZE[1]}"
LINK = "\x1b]8;{params};{uri}\x1b\\{text}\x1b]8;;\x1b\\"


def link(text: str, uri: str, params: str = "") -> str:
    return LINK.format(text=text, uri=uri, params=params)


PLACES = {
    "styles": "before " + link("\x1b[1;31mred\x1b[0m \x1b[44mblue \x1b[0m", "https://a.example/?q=1&r=<\"'>#x;y") + " after\r\n",
    "wide": link("中文 e\u0301 👍 ｆｕｌｌ", "https://b.example/caf\u00e9/%E4%B8%AD") + "中" + link("文", "https://c.example/") + "\r\n",
    "wrapped": "x" * 90 + link("y" * 230, "https://wrapped.example/", "id=7") + "z\r\n",
    "lines": "\x1b]8;;https://lines.example/\x07one\r\n\r\n  two\r\n\x1b]8;;\x07not\r\n",
    "side by side": link("a", "https://1.example/") + link("b", "https://2.example/") + link("c", "https://2.example/") + "d\r\n",
    "written over": link("0123456789", "https://over.example/") + "\x1b[5D--\x1b[2X\x1b[K" + link("!", "https://end.example/") + "\r\n",
    "at the edge": "\x1b[95G"
    + link("edge!!", "https://edge.example/")
    + "\r\n"
    + "\x1b[99G"
    + link("中", "https://last.example/")
    + "\r\n",
    "blanks": link("    ", "https://blank.example/") + "\r\n" + link("\x1b[10C.", "https://gap.example/") + "\r\n",
    "alternate": link("primary", "https://primary.example/") + "\r\n\x1b[?1049h\x1b[2J\x1b[3;4H" + link("other", "https://other.example/"),
    "left open": "\x1b]8;;https://open.example/\x07go",
    "scrolled": "".join(f"{link(f'line {n}', f'https://{n}.example/')} {'.' * (n % 120)}\r\n" for n in range(400)),
    "scheme": link("click", "javascript:alert(1)") + link("me", "mailto:a@b.example") + "\r\n",
}


def assert_linked(seen: dict[str, Any], wanted: set[str]) -> None:
    """That the comparison compared something."""
    assert {cell[-1] for row in [*seen["normal"], *seen["alternate"]] for cell in row} >= wanted


async def shown(first: Viewer, name: str) -> None:
    await first.type(f"cat {name!r}; printf '%s' sho''wn\r")
    await first.until(lambda: b"shown" in first.drawn())


def addresses(text: str) -> set[str]:
    """Those that a text links to."""
    ends = (re.split("[\x07\x1b]", part)[0].partition(";")[2] for part in text.split("\x1b]8;")[1:])
    return {address for address in ends if address}


@pytest.mark.parametrize("name", PLACES)
async def test_links_are_where_they_were(name: str, serve: Serve, xterm: Xterm, text_home: Path) -> None:
    """Cells, their links' addresses, cursor and modes of one who joins late, and of one who then goes on."""
    (text_home / name).write_text(PLACES[name], "utf-8")
    async with serve() as place, place.watch(query=QUERY) as first:
        await first.running()
        await shown(first, name)
        async with place.watch(who="obi") as late:
            await late.until(lambda: late.screens)
            await assert_same(xterm, place, "w1", first, late)
            size, steps, _ = late_steps(late)
            assert_linked(await xterm.shows(size, steps), addresses(PLACES[name]))
            await first.type("echo on''wards\r")
            await late.until(lambda: b"onwards" in late.output)
            await late.until(lambda: late.offset >= first.offset)
            await assert_same(xterm, place, "w1", first, late)


async def test_links_stay_when_lines_are_wrapped_anew(serve: Serve, xterm: Xterm, text_home: Path) -> None:
    """The window becomes narrower, then somebody joins: every link is still there, over the end of a line too."""
    (text_home / "wrapped").write_text(PLACES["wrapped"] + PLACES["wide"], "utf-8")
    async with serve() as place, place.watch(query=QUERY) as first:
        await first.running()
        await shown(first, "wrapped")
        await first.tell("resize", cols=70, rows=SIZE[1])
        await first.message("resize", cols=70, rows=SIZE[1])
        async with place.watch(who="obi") as late:
            await late.until(lambda: late.screens)
            size, steps, _ = late_steps(late)
            seen = await xterm.shows(size, steps)
            assert size == (70, SIZE[1])
            assert_linked(seen, addresses(PLACES["wrapped"] + PLACES["wide"]))
            assert sum(cell[-1] == "https://wrapped.example/" for row in seen["normal"] for cell in row) == 230


async def test_real_programs_links(serve: Serve, xterm: Xterm, text_home: Path) -> None:
    """`ls --hyperlink` in columns and in a list, cell by cell."""
    for name in ("a file", "bö.txt", "c&d;e", "long" * 20):
        (text_home / name).write_text("")
    async with serve() as place, place.watch(query=QUERY) as first:
        await first.running()
        await first.type("ls --hyperlink=always --color=always; ls -la --hyperlink=always --color=always; printf '%s' sho''wn\r")
        await first.until(lambda: b"shown" in first.drawn())
        async with place.watch(who="obi") as late:
            await late.until(lambda: late.screens)
            await assert_same(xterm, place, "w1", first, late)
            size, steps, _ = late_steps(late)
            links = {cell[-1] for row in (await xterm.shows(size, steps))["normal"] for cell in row}
            assert any(uri.startswith("file://") and uri.endswith("/b%c3%b6.txt") for uri in links), links


def test_what_does_not_fit_is_left_out() -> None:
    """Addresses that are longer than a drawing may be are left out, and the text stays."""
    terminal = emulator.Emulator(80, 24)
    terminal.feed("".join(link("x", f"https://{n}.example/{'u' * 1900}") for n in range(60)).encode())
    assert terminal.drawing(1 << 20).output.count(b"https://") == 60
    drawn = terminal.drawing(16 * 1024).output
    assert b"https://" not in drawn
    assert drawn.startswith(b"x" * 60)
    terminal.close()
