"""An entry put into a config's text, whatever its layout."""

from __future__ import annotations

import pytest

from partywidgets.config_edit import flow, put_entry
from partywidgets.config_source import read_yaml
from partywidgets.exceptions import ConfigError

ENTRY = {
    "id": "new",
    "type": "http",
    "url": "https://x.example/h",
    "conditions": ["status == 200"],
    "every": 30.0,
    "labels": {"team": "web"},
}
LONG = {**ENTRY, "conditions": ["body.items.all(i, i > 0)", "body.status.matches('^(ok|fine)$')", "duration_ms < 500"], "every": "1m30s"}

LAYOUTS = {
    "nothing": "",
    "no list": '# hello\nsandboxes: { default: "local:" }   # keep\n',
    "no last newline": "limits: {total: 3}",
    "an empty value": "checks:   # none yet\nlimits: {total: 3}\n",
    "an empty list": "checks: []\n# end\n",
    "a list on a line": "checks: [{id: a, type: host, load: true}]   # one\nlimits: {total: 3}\n",
    "a list over lines": "checks: [\n  {id: a, type: host, load: true},  # one\n  {id: b, type: host, load: true}\n]\n",
    "a comma at the end": "checks: [\n  {id: a, type: host, load: true},\n]\n",
    "entries on a line": "checks:\n  - { id: a, type: host, load: true }   # first\n  # at the end\n\n# about limits\nlimits: {total: 3}\n",
    "entries over lines": "checks:\n- id: a\n  type: host\n  memory: true   # here\n- id: b\n  type: host\n  load: true\n\nlimits: {}\n",
    "a text at the end": "checks:\n- id: a\n  type: exec\n  command: |\n    echo a\n    echo b\n\nlimits: {total: 3}",
    "JSON": '{"checks": [{"id": "a", "type": "host", "load": true}]}',
    "a document's marks": "---\nchecks:\n  - {id: ä😀, type: host, load: true}\n...\n",
    "anchors": "checks:\n  - &base {id: a, type: host, load: true}\n  - {<<: *base, id: b}\n",
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("entry", [ENTRY, LONG], ids=["short", "long"])
def test_an_entry_is_added_and_nothing_else_changes(layout: str, entry: dict[str, object]) -> None:
    """It is the last of the list, every line that was there is there still, and adding it twice over is possible."""
    text = LAYOUTS[layout]
    edited = put_entry(text, "checks", entry, path="x.yaml")
    value = read_yaml(edited, path="x.yaml").value
    before = read_yaml(text, path="x.yaml").value or {}
    assert value["checks"] == [*(before.get("checks") or []), entry]
    assert {**value, "checks": None} == {**before, "checks": None}
    for comment in ("# hello", "# keep", "# none yet", "# end", "# one", "# first", "# at the end", "# about limits", "# here"):
        assert (comment in edited) == (comment in text)
    again = put_entry(edited, "checks", {**entry, "id": "newer"}, path="x.yaml")
    assert [one["id"] for one in read_yaml(again, path="x.yaml").value["checks"]][-2:] == ["new", "newer"]


@pytest.mark.parametrize("layout", [name for name, text in LAYOUTS.items() if name != "anchors" and ("id: a" in text or '"a"' in text)])
def test_an_entry_takes_the_place_of_another(layout: str) -> None:
    """The others, and the comments beside it, stay."""
    text = LAYOUTS[layout]
    edited = put_entry(text, "checks", {**ENTRY, "id": "a"}, at=0, path="x.yaml")
    value, before = read_yaml(edited, path="x.yaml").value, read_yaml(text, path="x.yaml").value
    assert value == {**before, "checks": [{**ENTRY, "id": "a"}, *before["checks"][1:]]}
    for comment in ("# one", "# first", "# at the end", "# about limits"):
        assert (comment in edited) == (comment in text)


def test_what_has_no_place_is_refused_with_what_to_write() -> None:
    """An entry that others are made of, and a mapping in braces without that list: nothing is guessed."""
    with pytest.raises(ConfigError, match=r"write it there by hand: - \{ id: a, type: http"):
        put_entry(LAYOUTS["anchors"], "checks", {**ENTRY, "id": "a"}, at=0, path="x.yaml")
    with pytest.raises(ConfigError, match=r"in the list 'modules'; write it there by hand: - team\.checks"):
        put_entry(LAYOUTS["JSON"], "modules", "team.checks", path="x.yaml")


@pytest.mark.parametrize(
    "value",
    [
        "plain",
        "on",
        "no",
        "12:30",
        "1e3",
        "0x1f",
        "",
        " ",
        "a: b",
        "a #b",
        "- a",
        "null",
        "~",
        "${env:A}",
        "ä\n\t'\"",
        "2026-01-01",
        "<<",
        "a b",
        "\x00\x1b\x7f\x80\x9f\ufeff\u2028",
    ],
)
def test_any_text_is_the_same_when_it_is_read(value: str) -> None:
    """What YAML would take for something else is put into quotes."""
    assert read_yaml(f"x: {flow([value, {'k': value}])}", path="x").value == {"x": [value, {"k": value}]}
