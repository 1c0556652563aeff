"""Our widgets in a saved notebook become the last state that was kept of them: HTML without script, and no widget any more.

Pure: a notebook is nbformat's dictionaries, changed in place.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from .saved_notebook import STILL, WIDGET_STATE, WIDGET_VIEW, as_text, kept, models_of, never_kept, stand_in

OURS = {"_party", "_room", "_bundle", "_snapshot"}
"""The traits that every one of our widgets has, and a subclass of it in a notebook too."""
LINKS = ("LinkModel", "DirectionalLinkModel")

_REFERENCE = re.compile(r"IPY_MODEL_([\w-]+)")

Models = dict[str, Any]
"""The saved widget state: model id → `{model_module, model_name, state}`."""


def show_last_states(notebook: dict[str, Any]) -> int:
    """Puts the last state in place of each of our widgets, those in boxes and tabs too; returns how many.

    It is the HTML that was saved beside the widget, else its `_snapshot`; where neither was kept, one sentence says so. What a box holds
    beside them stays a widget, and our states come below it. A malformed notebook is not an error.
    """
    models = _models(notebook)
    shown, replaced = stand_in(notebook), set[str]()
    for outputs in _all_outputs(notebook, models):
        for output in list(outputs):
            shown += _show(outputs, output, models, replaced)
    if shown and models:
        for model in models.values():
            _take_out(model, models)
        views = {_view(output.get("data")) for outputs in _cell_outputs(notebook) for output in outputs if isinstance(output, dict)}
        _forget(notebook, models, {name for name, model in models.items() if _is_ours(model)}, replaced, views)
    return shown


def leave_out_models(notebook: dict[str, Any]) -> int:
    """Takes the models of our widgets out of the saved widget state where their last state stands beside them; returns how many.

    nbconvert shows the HTML beside a widget only where the notebook has no model of it, and what would draw the model comes from a CDN. A
    page that has the kernel needs no saved model. Those in boxes stay, for the box's sake.
    """
    models = _models(notebook)
    views, beside = set[str | None](), set[str]()
    for outputs in _all_outputs(notebook, models):
        for bundle in (output.get("data") for output in outputs if isinstance(output, dict)):
            view = _view(bundle)
            if view in models and _is_ours(models[view]) and bundle is not None and as_text(bundle.get("text/html")).startswith(STILL):
                beside.add(view)
            else:
                views.add(view)
    readable = beside - views
    return len(readable & _forget(notebook, models, readable, set(), views)) if readable else 0


def _show(outputs: list[Any], output: Any, models: Models, replaced: set[str]) -> int:
    bundle = output.get("data") if isinstance(output, dict) else None
    root = _view(bundle)
    if bundle is None or root not in models:
        return _say_nothing_kept(bundle) if bundle is not None and root is not None else 0
    inside = list(dict.fromkeys(_inside(root, models)))
    ours = [name for name in inside if _is_ours(models[name])]
    if not ours:
        return 0
    saved = bundle.get("text/html") if root in ours else None
    markup = "".join(_last_state(_state(models[name]), saved) for name in ours)
    if any(not _is_ours(models[name]) and "children" not in _state(models[name]) for name in inside):
        below = {"output_type": "display_data", "metadata": {}, "data": {"text/html": markup}}
        outputs.insert(outputs.index(output) + 1, type(output)(below))
    else:
        replaced.update(inside)
        del bundle[WIDGET_VIEW]
        bundle["text/html"] = markup
    return len(ours)


def _last_state(state: dict[str, Any], saved: Any) -> str:
    snapshot = state["_snapshot"] if isinstance(state["_snapshot"], dict) else {}
    room, kind = str(state["_room"]), str(state.get("_anywidget_id", "")).rpartition(".")[2] or "widget"
    name, markup, seen = f"{kind}(room={room!r})", as_text(saved), snapshot.get("html")
    if STILL in markup:
        return markup
    if isinstance(seen, str) and seen:  # the cell's own output is the widget's name alone
        return kept(name, "", seen, at=_moment(snapshot.get("at")))["text/html"]
    return _nothing_kept(name)


def _say_nothing_kept(bundle: dict[str, Any]) -> int:
    """For one of ours that has no model and its name alone beside it: of a host elsewhere, or saved without the server extension."""
    name = as_text(bundle.get("text/plain"))
    if "\n" in name or not as_text(bundle.get("text/html")).startswith('<pre class="pw-still"'):
        return 0
    del bundle[WIDGET_VIEW]
    bundle["text/html"] = _nothing_kept(name)
    return 1


def _nothing_kept(name: str) -> str:
    if name.startswith("Recording("):
        return never_kept(name)
    words = f"Nothing was kept of {name}: save the notebook once more while its kernel runs, or end it with .snapshot()."
    return f'<p class="pw-still">{html.escape(words)}</p>'


def _moment(at: Any) -> datetime | None:
    try:
        return datetime.fromisoformat(str(at))
    except ValueError:
        return None


def _models(notebook: dict[str, Any]) -> Models:
    """The models that are whole enough to be looked into."""
    return {name: model for name, model in models_of(notebook).items() if isinstance(_state(model), dict)}


def _state(model: Any) -> Any:
    return model.get("state") if isinstance(model, dict) else None


def _is_ours(model: Any) -> bool:
    return bool(_state(model).keys() >= OURS)


def _inside(name: str, models: Models, above: tuple[str, ...] = ()) -> Iterator[str]:
    """A model and what it holds, in the order in which they stand."""
    if name in models and name not in above:
        yield name
        for child in _children(models[name]):
            yield from _inside(child, models, (*above, name))


def _children(model: Any) -> list[str]:
    children = _state(model).get("children")
    return _REFERENCE.findall(json.dumps(children)) if isinstance(children, list) else []


def _take_out(model: Any, models: Models) -> None:
    """Ours leave a box, with their titles where it has some."""
    state, children = _state(model), _children(model)
    staying = [place for place, name in enumerate(children) if not (name in models and _is_ours(models[name]))]
    if len(staying) < len(children):
        for key in ("children", "titles"):
            if isinstance(state.get(key), list) and len(state[key]) == len(children):
                state[key] = [state[key][place] for place in staying]


def _forget(notebook: dict[str, Any], models: Models, ours: set[str], replaced: set[str], views: set[str | None]) -> set[str]:
    """Removes what is shown no more, with what nothing else refers to: the layouts of ours. Without a model there is no widget state."""
    refers = {name: set(_REFERENCE.findall(json.dumps(_state(model)))) for name, model in models.items()}
    gone = {name for name, model in models.items() if model.get("model_name") in LINKS and refers[name] & ours}
    parts = ours | replaced
    while True:
        parts = parts.union(*(refers[name] for name in gone))
        held = views.union(*(names for name, names in refers.items() if name not in gone))
        more = {name for name in parts - gone - held if name in models}
        if not more:
            break
        gone |= more
    saved = notebook["metadata"]["widgets"][WIDGET_STATE]["state"]
    for name in gone:
        del saved[name]
    if not saved:
        del notebook["metadata"]["widgets"]
    return gone


def _view(bundle: Any) -> str | None:
    view = bundle.get(WIDGET_VIEW) if isinstance(bundle, dict) else None
    name = view.get("model_id") if isinstance(view, dict) else None
    return name if isinstance(name, str) else None


def _cell_outputs(notebook: dict[str, Any]) -> Iterator[list[Any]]:
    cells = notebook.get("cells")
    for cell in cells if isinstance(cells, list) else []:
        outputs = cell.get("outputs") if isinstance(cell, dict) else None
        if isinstance(outputs, list):
            yield outputs


def _all_outputs(notebook: dict[str, Any], models: Models) -> list[list[Any]]:
    """Those of the cells, and those that an `Output` widget caught."""
    caught = [_state(model).get("outputs") for model in models.values()]
    return [*_cell_outputs(notebook), *(outputs for outputs in caught if isinstance(outputs, list))]
