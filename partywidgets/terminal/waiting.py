"""What a program that has said nothing for a while seems to wait for, by the line that it left. Pure."""

from __future__ import annotations

import re

_QUESTION = re.compile(r"[:?>\])#$]$|(?<!\d)%$")
"""How a line ends behind which a program waits for keys: `password:`, `[Y/n]`, `(yes/no)?`, `>>>`, less' `(END)`."""
_PROGRESS = re.compile(r"(?:[=#.>█▓▒░ -]{4}|\d/\d+)[\])]$|[.]{3}:?$|#{4}$")
"""How far something is, which ends like a question: `[=====>    ]`, `(3/10)`."""
_STATUS_LINE = re.compile(rb"\x1b\[7m[^\x1b\r\n]+\x1b\[(?:0|27)?m\s*$")
"""The last line of a pager that takes no screen of its own (BusyBox' less), in reverse video."""
_PROMPT = re.compile(r"(?:(?<![#=(-])[#$]|(?<!\d)%|[❯➜λ])$")
"""How a shell's prompt ends; psql's `=#` is none."""


def asks(line: str, output: bytes = b"") -> bool:
    """True for a line behind which a program waits for a person. `output` is what it printed last, with its escape sequences."""
    if not line:
        return False
    return (bool(_QUESTION.search(line)) and not _PROGRESS.search(line)) or bool(_STATUS_LINE.search(output))


def prompts(line: str) -> bool:
    """True for the prompt of a shell."""
    return bool(_PROMPT.search(line)) and not _PROGRESS.search(line)
