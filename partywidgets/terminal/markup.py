"""Styled terminal text (SGR sequences) as script-free HTML with inline style. Pure.

Own code because what the emulator writes as HTML keeps the hyperlinks that a program chose, `javascript:` among them. Here every
character that came out of the terminal is escaped text, and nothing but `<pre>` and `<span style>` is ever written.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from html import escape

_COLOURS = (
    "#2e3436", "#cc0000", "#4e9a06", "#c4a000", "#3465a4", "#75507b", "#06989a", "#d3d7cf",
    "#555753", "#ef2929", "#8ae234", "#fce94f", "#729fcf", "#ad7fa8", "#34e2e2", "#eeeeec",
)  # fmt: skip
_SEQUENCE = re.compile(r"\x1b\[([0-9;:]*)m|\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[ -~])|[\x00-\x08\x0b-\x1f\x7f]")


def palette_colour(index: int) -> str:
    """The CSS colour of one of xterm's 256: fixed, so that a saved screen looks alike wherever it is opened."""
    if index < 16:
        return _COLOURS[index]
    if index < 232:
        steps = (0, 95, 135, 175, 215, 255)
        index -= 16
        return f"#{steps[index // 36]:02x}{steps[index // 6 % 6]:02x}{steps[index % 6]:02x}"
    return "#" + f"{8 + (index - 232) * 10:02x}" * 3


@dataclass(frozen=True, slots=True)
class _Style:
    front: str = ""
    back: str = ""
    bold: bool = False
    faint: bool = False
    italic: bool = False
    underline: bool = False
    inverse: bool = False
    hidden: bool = False
    struck: bool = False
    overline: bool = False

    def css(self) -> str:
        front, back = self.front, self.back
        if self.inverse:
            front, back = back or "Canvas", front or "CanvasText"
        lines = [name for name, on in (("underline", self.underline), ("line-through", self.struck), ("overline", self.overline)) if on]
        parts = [
            f"color:{front}" if front else "",
            f"background-color:{back}" if back else "",
            "font-weight:bold" if self.bold else "",
            "opacity:.6" if self.faint else "",
            "font-style:italic" if self.italic else "",
            f"text-decoration:{' '.join(lines)}" if lines else "",
            "visibility:hidden" if self.hidden else "",
        ]
        return ";".join(part for part in parts if part)


_EFFECTS: dict[int, dict[str, bool | str]] = {
    1: {"bold": True},
    2: {"faint": True},
    3: {"italic": True},
    4: {"underline": True},
    7: {"inverse": True},
    8: {"hidden": True},
    9: {"struck": True},
    21: {"underline": True},
    22: {"bold": False, "faint": False},
    23: {"italic": False},
    24: {"underline": False},
    27: {"inverse": False},
    28: {"hidden": False},
    29: {"struck": False},
    39: {"front": ""},
    49: {"back": ""},
    53: {"overline": True},
    55: {"overline": False},
    **{
        first + index: {side: palette_colour(shade + index)}
        for first, side, shade in (
            (30, "front", 0),
            (40, "back", 0),
            (90, "front", 8),
            (100, "back", 8),
        )
        for index in range(8)
    },
}
"""What each number of an SGR sequence changes, but for 0 and those that a colour follows."""


def _colour(numbers: list[int]) -> str:
    """Takes what follows a 38, 48 or 58 off the list."""
    kind = numbers.pop(0) if numbers else 0
    if kind == 5 and numbers:
        return palette_colour(min(numbers.pop(0), 255))
    if kind == 2 and len(numbers) >= 3:
        red, green, blue = (min(numbers.pop(0), 255) for _ in range(3))
        return f"#{red:02x}{green:02x}{blue:02x}"
    return ""


def _numbers(parameters: str) -> list[int]:
    numbers: list[int] = []
    for group in (parameters or "0").split(";"):
        parts = [int(part) if part else 0 for part in group.split(":")]
        if parts[0] == 4 and len(parts) > 1:
            numbers.append(4 if parts[1] else 24)  # the kind of an underline
        elif parts[0] in (38, 48, 58) and len(parts) == 6:
            numbers += [*parts[:2], *parts[3:]]  # 38:2:<colour space>:r:g:b
        else:
            numbers += parts
    return numbers


def _styled(style: _Style, parameters: str) -> _Style:
    numbers = _numbers(parameters)
    while numbers:
        number = numbers.pop(0)
        if number == 0:
            style = _Style()
        elif number == 38:
            style = replace(style, front=_colour(numbers))
        elif number == 48:
            style = replace(style, back=_colour(numbers))
        elif number == 58:  # of an underline, which is drawn in that of the text
            _colour(numbers)
        else:
            style = replace(style, **_EFFECTS.get(number, {}))  # type: ignore[arg-type]  # each value is of its field's type
    return style


def to_html(styled: str) -> str:
    """One `<pre>` with inline style for text with SGR sequences; every other sequence is left out."""
    parts: list[str] = []
    style = _Style()
    at = 0
    for found in _SEQUENCE.finditer(styled):
        _add(parts, styled[at : found.start()], style)
        at = found.end()
        if found[1] is not None:
            style = _styled(style, found[1])
    _add(parts, styled[at:], style)
    return f'<pre style="margin:0;font-family:monospace;line-height:1.2">{"".join(parts)}</pre>'


def _add(parts: list[str], text: str, style: _Style) -> None:
    if not text:
        return
    css = style.css()
    parts.append(f'<span style="{css}">{escape(text)}</span>' if css else escape(text))
