"""Hyperlinks (OSC 8) of a drawing: libghostty writes them into its HTML alone, from where they are put into the same text with styles.

Its HTML takes cells that were never written for a part of the link before them: whether a blank is linked, the cells are asked.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_right
from collections.abc import Callable
from functools import cache
from itertools import accumulate
from typing import Any, NamedTuple

from pyghostty._ffi import ffi, lib
from pyghostty.core import check

OPEN = b"\x1b]8;"
"""With what a program begins and ends a link; C1 introducers are text to libghostty."""
CLOSED = "\x1b]8;;\x1b\\"
ASKED_LINKS = 1000
"""Of so many links with blanks in them, the newest, the cells are asked; older ones are taken without the blanks at their end."""

_STYLED = re.compile(r"\x1b\[[0-9;:]*m|\r\n|[^\x1b\r]+|.", re.DOTALL)
_HTML = re.compile(r'<a href="([^"]*)">|(</a>)|<[^>]*>|&(#\d+|\w+);|([^<&]+)')
_REFERENCE = re.compile(r"&(#\d+|\w+);")
_NAMED = {"amp": "&", "lt": "<", "gt": ">", "quot": '"'}
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f]")
"""They would end the sequence early."""


class Link(NamedTuple):
    """Where in a text it stands, in characters without the ends of lines."""

    begin: int
    end: int
    uri: str


def with_links(drawn: str, links: list[Link]) -> str:
    """A text with styles, with its links, which follow each other. A link's `id` is lost."""
    out: list[str] = []
    at, waiting = 0, iter(links)
    link = next(waiting, None)
    for part in _STYLED.findall(drawn):
        if part[0] in "\x1b\r":
            out.append(part)
            continue
        end = at + len(part)
        while link is not None and link.begin < end:
            if link.begin >= at:
                out += [part[: link.begin - at], f"\x1b]8;;{link.uri}\x1b\\"]
                part, at = part[link.begin - at :], link.begin
            if link.end > end:
                break
            out += [part[: link.end - at], CLOSED]
            part, at = part[link.end - at :], link.end
            link = next(waiting, None)
        out.append(part)
        at = end
    return "".join(out)


def text_of(drawn: str) -> str:
    """A text without its styles and the ends of its lines."""
    return "".join(part for part in _STYLED.findall(drawn) if part[0] not in "\x1b\r")


def read(markup: str) -> tuple[str, list[Link]]:
    """The text of libghostty's HTML, and its links. Not the ends of lines: at the border of two of its pages one is missing."""
    text: list[str] = []
    links: list[Link] = []
    at, begin, uri = 0, 0, ""
    for address, ends, reference, plain in _HTML.findall(markup):
        if address:
            begin, uri = at, _uri(address)
        elif ends:
            if uri and at > begin:
                links.append(Link(begin, at, uri))
            uri = ""
        elif reference or plain:
            piece = _character(reference) if reference else plain.replace("\n", "")
            text.append(piece)
            at += len(piece)
    return "".join(text), links


def _uri(attribute: str) -> str:
    """An address, whose bytes stand one by one in the HTML."""
    octets = _REFERENCE.sub(lambda found: _character(found[1]), attribute).encode("latin-1", "replace")
    return _CONTROLS.sub("", octets.decode("utf-8", "replace"))


def _character(reference: str) -> str:
    """What a reference stands for: not as browsers read it, which take 128 to 159 for other characters."""
    return chr(int(reference[1:])) if reference.startswith("#") else _NAMED.get(reference, f"&{reference};")


def linked(terminal: Any, first: int, drawn: str, markup: str, rows: Callable[[], str]) -> str:
    """`drawn`, what stands from a row on (counted from the oldest of the scrollback), with the links of `markup`, the same as HTML.

    `rows` draws it with wrapped lines cut. Unchanged where the text of the HTML is another: then nobody knows where links belong.
    """
    if "<a href" not in markup:
        return drawn
    text, links = read(markup)
    if text != text_of(drawn):
        return drawn
    blank = [number for number, link in enumerate(links) if " " in text[link.begin : link.end]]
    if not blank:
        return with_links(drawn, links)
    begins = [0, *accumulate(len(text_of(row)) for row in rows().split("\r\n"))]
    asked = set(blank[-ASKED_LINKS:]) if begins[-1] == len(text) else set()
    sure: list[Link] = []
    for number, link in enumerate(links):
        if number in asked:
            sure += _written(terminal, first, begins, link)
        elif end := len(text[link.begin : link.end].rstrip(" ")):
            sure.append(link._replace(end=link.begin + end))
    return with_links(drawn, sure)


def _written(terminal: Any, first: int, begins: list[int], link: Link) -> list[Link]:
    """A link without the cells that were never written, in the order of the text: one, or more with gaps between them.

    `begins` is where the text of each row begins.
    """
    parts: list[Link] = []
    row = bisect_right(begins, link.begin) - 1
    while row < len(begins) - 1 and begins[row] < link.end:
        at, columns = begins[row], int(terminal.size[0])
        for length, is_linked in _cells(terminal.ref(0, first + row, tag="screen"), columns):
            if at >= min(link.end, begins[row + 1]):
                break
            if is_linked and at >= link.begin:
                if parts and parts[-1].end == at:
                    parts[-1] = parts[-1]._replace(end=at + length)
                else:
                    parts.append(Link(at, at + length, link.uri))
            at += length
        row += 1
    return parts


def _cells(ref: Any, columns: int) -> Any:
    """Of each cell with a character of its own: how many characters of the text it is, and whether it is linked."""
    layout = _layout()
    (link_at, _), (wide_at, wide_mask), (tag_at, tag_mask) = layout["hyperlink"], layout["wide"], layout["content_tag"]
    spacers = (lib.GHOSTTY_CELL_WIDE_SPACER_TAIL, lib.GHOSTTY_CELL_WIDE_SPACER_HEAD)
    cell, size = ffi.new("GhosttyCell*"), ffi.new("size_t*")
    for x in range(columns):
        ref.x = x
        check(lib.ghostty_grid_ref_cell(ref, cell), "grid_ref_cell")
        bits = cell[0]
        if bits >> wide_at & wide_mask in spacers:
            continue
        length = 1
        if bits >> tag_at & tag_mask == lib.GHOSTTY_CELL_CONTENT_CODEPOINT_GRAPHEME:
            lib.ghostty_grid_ref_graphemes(ref, ffi.NULL, 0, size)
            length = max(int(size[0]), 1)
        yield length, bool(bits >> link_at & 1)


@cache
def _layout() -> dict[str, tuple[int, int]]:
    """Where a cell has its fields: shift and mask, as the library says of itself."""
    bits = json.loads(ffi.string(lib.ghostty_type_json()))["types"]["GhosttyCell"]["bits"]
    return {name: (field["lsb"], (1 << field["width"]) - 1) for name, field in bits.items()}
