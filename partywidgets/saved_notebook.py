"""Snapshots in a saved notebook: the text and the HTML beside each of our widgets become the last state of its room, and stand in for a
widget that is no more."""

from __future__ import annotations

import ast
import html
import re
from collections.abc import Callable, Collection, Iterator
from datetime import UTC, datetime
from typing import Any, Literal, TypeAlias

WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"
WIDGET_STATE = "application/vnd.jupyter.widget-state+json"
ELSEWHERE = "partywidgets_elsewhere"
"""In an output's metadata: its room is on another host than the Jupyter Server, whose room of that name is another room."""
Look: TypeAlias = Callable[[Literal["terminal", "ops"], str], tuple[str, str] | None]
"""A room's state as text and as HTML; None leaves what is there."""
Elsewhere: TypeAlias = Callable[[str], tuple[str, str, datetime] | None]
"""The same by a widget's model id, and when it was seen: what its kernel told."""
STILL = '<div class="pw-still">'
HEADING = "pw-as-it-was"
TEXT_LINES = 60
"""Lines of a state as text: it is for diffs, mails and viewers without HTML, whose readers want the worst rows."""

_TERMINAL = re.compile(r"Terminal\(room=('(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\")[,)]")
_TIMELESS = re.compile(rf'<p class="{HEADING}".*?</p>', re.DOTALL)
_NOT_LIVE = re.compile(r"not live</p>")
"""The end of that line."""
_OPS = re.compile(r"(?:ScanTable|OpsDashboard)\(room=('main')\)")


def refresh(notebook: dict[str, Any], look: Look, elsewhere: Elsewhere = lambda _: None, *, at: datetime | None = None) -> int:
    """Puts the rooms' last states into the notebook, in place; returns how many outputs were changed.

    `at` is when they are seen; left out: now. For an output that is marked ELSEWHERE its model's state is asked for.
    A malformed notebook is not an error.
    """
    changed = 0
    for output in _outputs(notebook):
        bundle, metadata = output["data"], output.get("metadata")
        if WIDGET_VIEW not in bundle:
            continue
        text = as_text(bundle.get("text/plain"))
        terminal, ops = _TERMINAL.match(text), _OPS.match(text)
        found = terminal or ops
        room = None if found is None else _named(found[1])
        if room is None:
            continue
        when = at or datetime.now(UTC)
        if isinstance(metadata, dict) and metadata.get(ELSEWHERE):
            view = bundle[WIDGET_VIEW]
            told = elsewhere(str(view.get("model_id") if isinstance(view, dict) else ""))
            seen, when = (told[:2], told[2]) if told else (None, when)
        else:
            seen = look("terminal" if terminal else "ops", room)
        if seen is not None and _differs(bundle, state := kept(text.partition("\n")[0], *seen, at=when)):
            bundle.update(state)
            changed += 1
    return changed


def _named(literal: str) -> str | None:
    """The room that a widget's text names; None where it is none of ours after all."""
    try:
        return str(ast.literal_eval(literal))
    except (ValueError, SyntaxError):
        return None


def kept(name: str, text: str, markup: str, *, at: datetime | None = None) -> dict[str, str]:
    """What stands beside a widget of that name: its last state, in forms by which a comparison of outputs (nbval's sanitizer) knows it as
    something that changes: the text below the widget's name, the HTML in an element of the class `pw-still`, under a line that says what
    it is and of when. `at`: when the room was seen so; None where that is not known."""
    lines = [line.rstrip() for line in text.rstrip().splitlines()]
    more = [f"… and {len(lines) - TEXT_LINES} more lines"] if len(lines) > TEXT_LINES else []
    when = f"at {at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC" if at else "last"
    heading = f'<p class="{HEADING}" style="margin:0;opacity:0.75">{html.escape(name)} as it was {when}, not live</p>'
    inner = markup.removeprefix(STILL).removesuffix("</div>") if markup.startswith(STILL) else markup
    return {
        "text/plain": "\n".join([name, *lines[:TEXT_LINES], *more]),
        # The inner class keeps MathJax from reading prices and prompts as formulas.
        "text/html": f'{STILL}<div class="tex2jax_ignore">{heading}{inner}</div></div>',
    }


def never_kept(name: str) -> str:
    """The HTML beside a widget that no notebook holds, a recording: it stands in where there is no kernel, as a last state does."""
    return f'{STILL}<p class="{HEADING}" style="margin:0;opacity:0.75">{html.escape(name)} stays on its host; here it is not live</p></div>'


def _differs(bundle: dict[str, Any], state: dict[str, str]) -> bool:
    """Whether something was seen that is not there yet; a later time alone is not: an unchanged notebook is saved as it was."""
    return any(_TIMELESS.sub("", as_text(bundle.get(kind))) != _TIMELESS.sub("", said) for kind, said in state.items())


def has_last_states(notebook: dict[str, Any]) -> bool:
    """Whether the last state of one of our widgets was saved beside it."""
    return any(_state_beside_view(output["data"]) for output in _outputs(notebook))


def stand_in(notebook: dict[str, Any], living: Collection[str] = (), *, remedy: str = "") -> int:
    """Leaves of each of our widgets its last state alone, in place, where the notebook keeps no model of it: for a reader without a kernel,
    whom JupyterLab would show "model not found" instead. Returns how many.

    `living` are the models that the reader's kernel has; `remedy` is said behind "not live".
    """
    replaced = 0
    models = models_of(notebook)
    for bundle in (output["data"] for output in _outputs(notebook)):
        view = bundle.get(WIDGET_VIEW)
        if _state_beside_view(bundle) and view.get("model_id") not in models and view.get("model_id") not in living:
            del bundle[WIDGET_VIEW]
            if remedy:
                bundle["text/html"] = _NOT_LIVE.sub(f"not live: {html.escape(remedy)}</p>", as_text(bundle["text/html"]), count=1)
            replaced += 1
    return replaced


def _state_beside_view(bundle: dict[str, Any]) -> bool:
    return isinstance(bundle.get(WIDGET_VIEW), dict) and as_text(bundle.get("text/html")).startswith(STILL)


def models_of(notebook: dict[str, Any]) -> dict[str, Any]:
    """The saved widget state, model id → model, as it stands there; empty where there is none."""
    found: Any = notebook
    for key in ("metadata", "widgets", WIDGET_STATE, "state"):
        found = found.get(key) if isinstance(found, dict) else None
    return found if isinstance(found, dict) else {}


def _outputs(notebook: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Those that have a bundle, under `data`."""
    cells = notebook.get("cells")
    for cell in cells if isinstance(cells, list) else []:
        outputs = cell.get("outputs") if isinstance(cell, dict) else None
        for output in outputs if isinstance(outputs, list) else []:
            if isinstance(output, dict) and isinstance(output.get("data"), dict):
                yield output


def as_text(value: Any) -> str:
    """An entry of a bundle, which may be stored in lines; empty when it is not text."""
    return "".join(value) if isinstance(value, list) else value if isinstance(value, str) else ""
