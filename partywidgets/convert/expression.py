"""Parts of conditions as text: quoted texts, patterns, and the places of a JSON body."""

from __future__ import annotations

import re

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_RESERVED = frozenset(
    "true false null in as break const continue else for function if import let loop package namespace return var void while".split()
)
_ESCAPES = {"\n": "\\n", "\r": "\\r", "\t": "\\t", "\\": "\\\\", "'": "\\'"}

Step = str | int


def quoted(text: str) -> str:
    """A text as an expression has it, in single quotes."""
    return (
        "'"
        + "".join(
            _ESCAPES.get(sign, sign if sign.isprintable() else f"\\u{ord(sign):04x}" if ord(sign) < 0x10000 else sign) for sign in text
        )
        + "'"
    )


def place(root: str, steps: list[Step]) -> str:
    """The place below `root` that the steps lead to: `body.items[0]['x-id']`."""
    for step in steps:
        if isinstance(step, int):
            root += f"[{step}]"
        elif _NAME.fullmatch(step) and step not in _RESERVED:
            root += f".{step}"
        else:
            root += f"[{quoted(step)}]"
    return root


def there(root: str, steps: list[Step]) -> str:
    """Whether something stands at that place; `root` itself is there."""
    if not steps:
        return "true"
    above, last = place(root, steps[:-1]), steps[-1]
    if isinstance(last, int):
        known = f"size({above}) > {last}"
    elif _NAME.fullmatch(last) and last not in _RESERVED:
        return f"has({above}.{last})"
    else:
        known = f"{quoted(last)} in {above}"
    return known if len(steps) == 1 else f"{there(root, steps[:-1])} && {known}"


def negated(said: str) -> str:
    """The opposite of an expression."""
    return f"!{said}" if re.fullmatch(r"[\w.]+\([^()]*\)|[\w.]+", said) else f"!({said})"


def split_path(path: str) -> list[Step] | None:
    """The steps of `a.b[0].c`, `[0].id` or `$.a['b']`; None for a path that asks for more than one place."""
    steps: list[Step] = []
    rest = path.removeprefix("$").removeprefix(".")
    while rest:
        if found := re.match(r"\[(\d+)\]|\[\"([^\"\]]*)\"\]|\['([^'\]]*)'\]", rest):
            number, double, single = found.groups()
            steps.append(int(number) if number is not None else double if double is not None else single)
        elif found := re.match(r"[^.\[\]\s()*'\"`$]+", rest):
            steps.append(found[0])
        else:
            return None
        rest = rest[found.end() :]
        if rest.startswith("."):
            rest = rest[1:]
            if not rest:
                return None
        elif rest and not rest.startswith("["):
            return None
    return steps


def globbed(pattern: str, subject: str) -> str:
    """Whether a text fits a pattern of `*`, `?`, `[…]` and `\\x`, as the whole of it. Raises ValueError for a pattern that is none."""
    plain = re.fullmatch(r"(\*?)([^*?\[\\]*)(\*?)", pattern)
    if plain is not None:
        before, text, behind = plain.groups()
        if not text:
            return "true" if before or behind else f"{subject} == ''"
        if before and behind:
            return f"{subject}.contains({quoted(text)})"
        if before or behind:
            return f"{subject}.{'endsWith' if before else 'startsWith'}({quoted(text)})"
        return f"{subject} == {quoted(text)}"
    parts, at = ["(?s)^"], 0
    while at < len(pattern):
        sign = pattern[at]
        if sign == "*":
            parts.append(".*")
        elif sign == "?":
            parts.append(".")
        elif sign == "[":
            end = pattern.find("]", at + 2)
            if end < 0:
                raise ValueError(f"the [ of {pattern!r} is not closed")
            parts.append("[" + pattern[at + 1 : end].replace("\\", "\\\\") + "]")
            at = end
        else:
            if sign == "\\" and at + 1 < len(pattern):
                at += 1
            parts.append(re.escape(pattern[at]))
        at += 1
    return f"{subject}.matches({quoted(''.join((*parts, '$')))})"
