"""`partywidgets plan`."""

from __future__ import annotations

from pathlib import Path

from .conftest import Run, Serve

CONFIG = """\
checks:
  - {id: disk, type: host, disk: /}
  - {id: root, type: host, disk: /, every: 1h}
schedule: {full: "0 6 * * *", timezone: Europe/Berlin}
"""


def test_plan_says_when(run: Run, tmp_path: Path) -> None:
    """Each check with its interval and times in the config's zone; nothing is run; a mistake is one sentence."""
    config = tmp_path / "pw.yaml"
    config.write_text(CONFIG)
    ended = run("plan", config)
    assert (ended.code, ended.err) == (0, "")
    assert "Europe/Berlin" in ended.out
    assert "with full scans" in ended.out
    assert ended.out.count("06:00:00") >= 3
    config.write_text("checks:\n  - {id: a, type: htpp}\n")
    ended = run("plan", config)
    assert (ended.code, ":2:" in ended.sentence) == (1, True)


def test_plan_against_a_host(run: Run, serve: Serve, tmp_path: Path) -> None:
    """What loading would add, change and remove is listed; ids of another config are told, with exit code 1; a guest is refused."""
    config = tmp_path / "pw.yaml"
    config.write_text(CONFIG.replace("every: 1h", "every: 1h, enabled: false"))
    host = serve(config)
    config.write_text(CONFIG.replace("disk: /}", "disk: /tmp}").replace("id: root", "id: fresh"))
    ended = run("plan", config, "--url", host.url, "--token-file", host.token_file)
    assert ended.code == 0, ended.err
    assert ended.out.splitlines()[-4:] == [
        "+ fresh",
        "~ disk: disk",
        "- root",
        f"{host.url} would have 1 added, 1 changed, 1 removed, 0 unchanged under the name {config}.",
    ]
    ended = run("plan", config, "--url", host.url, "--token-file", host.token_file, "--name", "other.yaml")
    assert ended.code == 1
    assert f"! disk belongs to {config}" in ended.out
    ended = run("plan", config, "--url", host.url, PARTYWIDGETS_TOKEN="not-the-token-of-this-host")
    assert ended.code == 1
    assert ended.sentence
