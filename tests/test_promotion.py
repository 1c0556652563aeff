"""Checks of a notebook that become config, and come back."""

from __future__ import annotations

import asyncio
import functools
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import partywidgets as pw
from partywidgets.config import load_config
from partywidgets.exceptions import CheckError, ConfigError
from partywidgets.promotion import import_check, promote
from partywidgets.scan_once import scan_once
from partywidgets.scans.check_decorator import forget, registered_checks
from partywidgets.scans.checks.http import HttpCheck

CONFIG = """\
# the shop
defaults: { every: 1m }     # for all
checks:
  - { id: root, type: host, disk: / }   # the disk
"""
LIMIT = 3
SHOP = {"id": "shop", "type": "http", "url": "https://shop.example/health", "conditions": ["status == 200"], "every": "5m"}


@pw.check(every="5m", severity="high", crit="> 50")
def queue_depth() -> int:
    """How many orders wait"""
    rows = [number for number in range(7)]
    return len(rows) + int(functools.reduce(lambda one, other: one + other, rows) > 0)


@pw.check
async def answers() -> None:
    await asyncio.sleep(0)
    assert 6 * 7 == 42, "sums are off"


@pw.check(id="uses what is here")
def uses_what_is_here() -> bool:
    return LIMIT > 2


def helper() -> bool:
    return True


@pytest.fixture(autouse=True)
def kernel(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """This module's functions are registered as those of a notebook, whatever ran before."""
    yield
    for entry in registered_checks(["checks.queue_depth", "nowhere"]):
        forget(entry.check.function)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A config with a comment on every line."""
    path = tmp_path / "partywidgets.yaml"
    path.write_text(CONFIG)
    return path


def test_keys_become_an_entry(config: Path) -> None:
    """It stands at the end of `checks`, everything else as it was; the answer shows the difference."""
    promotion = promote(SHOP, config)
    assert config.read_text() == CONFIG + (
        '  - { id: shop, type: http, url: "https://shop.example/health", conditions: ["status == 200"], every: 5m }\n'
    )
    assert [check.id for check in load_config(config).checks] == ["root", "shop"]
    (written,) = promotion.files
    assert written.path == config
    assert "+  - { id: shop, type: http" in repr(promotion)
    assert "<pre>shop is config now" in promotion._repr_html_()
    assert repr(promote(SHOP, config)) == "shop stands there already: nothing was written"


def test_a_model_becomes_an_entry(tmp_path: Path) -> None:
    """Only what differs from the defaults is written, into a config that is made."""
    check = HttpCheck(id="shop", url="http://shop.example/", timeout=3.0, conditions=("status < 500",))
    promote(check, tmp_path / "new.yaml")
    (read,) = load_config(tmp_path / "new.yaml").checks
    assert read == check
    assert "severity" not in (tmp_path / "new.yaml").read_text()


@pytest.mark.parametrize("work", [lambda place: promote(SHOP, place), lambda place: import_check("shop", place)])
def test_a_place_that_is_no_config_is_one_sentence(work: Callable[[Path], object], tmp_path: Path) -> None:
    """A folder, and a file that is not text, are named with what is wrong with them."""
    with pytest.raises(ConfigError, match=f"{tmp_path}: it cannot be read: Is a directory"):
        work(tmp_path)
    (tmp_path / "latin.yaml").write_bytes(b"checks: [] # \xe9t\xe9")
    with pytest.raises(ConfigError, match=r"latin\.yaml: it cannot be read: it is not text in UTF-8"):
        work(tmp_path / "latin.yaml")


def test_a_place_that_takes_no_file_is_one_sentence(tmp_path: Path) -> None:
    """A file where a folder should be."""
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="it cannot be written: "):
        promote(SHOP, tmp_path / "file" / "new.yaml")


def test_nothing_is_overwritten_silently(config: Path) -> None:
    """Another check of that id stays until `replace=True` says otherwise."""
    promote(SHOP, config)
    before = config.read_text()
    with pytest.raises(ConfigError, match=r"the check 'shop' stands there already and is another one: promote\(…, replace=True\)"):
        promote({**SHOP, "url": "http://other.example/"}, config)
    assert config.read_text() == before
    promote({**SHOP, "url": "http://other.example/"}, config, replace=True)
    assert load_config(config).checks[1].target == "http://other.example/"
    assert len(load_config(config).checks) == 2


@pytest.mark.parametrize(
    ("check", "sentence"),
    [
        ({**SHOP, "urll": "x"}, "check 'shop': unknown key 'urll', did you mean 'url'"),
        ({"type": "http"}, "a check has an `id` and a `type`"),
        ({**SHOP, "headers": {"Authorization": "Bearer abc"}}, "'Authorization' is written out"),
        ({"id": "a", "type": "function", "function": "a:b"}, "promote that"),
        ("no_such_check", "no check of this notebook is called 'no_such_check'"),
        (helper, "helper is not a check: put @pw.check above"),
        (uses_what_is_here, "uses LIMIT of this notebook: define that inside the function, or import it"),
    ],
)
def test_what_would_not_be_right_is_not_written(config: Path, check: Any, sentence: str) -> None:
    """One sentence, and the files are as they were."""
    with pytest.raises((CheckError, ConfigError), match=sentence):
        promote(check, config)
    assert config.read_text() == CONFIG
    assert sorted(path.name for path in config.parent.iterdir()) == ["partywidgets.yaml"]


def test_a_broken_config_is_told_as_it_is(config: Path) -> None:
    """Not as if the check that is promoted had broken it."""
    config.write_text("checks: {}\n")
    with pytest.raises(ConfigError, match=r"partywidgets\.yaml:1:9: checks: expected a list"):
        promote(SHOP, config)


async def test_a_function_becomes_a_module(config: Path) -> None:
    """With the imports that it needs and the id that it had; whoever loads the config then runs it."""
    promotion = await asyncio.to_thread(promote, queue_depth, config)
    entry = next(entry for entry in registered_checks() if entry.function is queue_depth)
    assert promotion.check_id == entry.check.id
    module = await asyncio.to_thread((config.parent / "checks" / "queue_depth.py").read_text)
    assert module.startswith('import functools\nimport partywidgets as pw\n\n\n@pw.check(id="tests.test_promotion.queue_depth", every="5m"')
    assert (await asyncio.to_thread(config.read_text)) == CONFIG + "modules:\n  - checks.queue_depth\n"
    report = await scan_once(config)
    result = next(result for result in report.results if result.check_id == entry.check.id)
    assert (result.status, result.summary, result.severity, result.title) == ("ok", "value 8", "high", "How many orders wait")
    assert (await asyncio.to_thread(promote, queue_depth, config)).files == ()


def test_a_second_function_joins_a_module(config: Path) -> None:
    """What is in the module stays, imports come in once, and the config names the module once."""
    promote(queue_depth, config, module="team.checks")
    promotion = promote("tests.test_promotion.answers", config, module="team.checks")
    module = (config.parent / "team" / "checks.py").read_text()
    assert [one.path.name for one in promotion.files] == ["checks.py"]
    assert module.count("import partywidgets as pw") == 1
    assert module.index("import asyncio") < module.index("def queue_depth") < module.index("async def answers")
    assert load_config(config).modules == ("team.checks",)
    (config.parent / "team" / "checks.py").write_text(module.replace("6 * 7", "7 * 7"))
    with pytest.raises(ConfigError, match="stands there already and is another one"):
        promote(answers, config, module="team.checks")
    promote(answers, config, module="team.checks", replace=True)
    assert (config.parent / "team" / "checks.py").read_text() == module


def test_keys_come_back(config: Path) -> None:
    """The text of a cell makes the very check again: promoting it writes nothing."""
    promote(SHOP, config)
    cell = import_check("shop", config)
    assert repr(cell).startswith("shop = {'id': 'shop',")
    names: dict[str, Any] = {}
    exec(cell, names)
    assert names["shop"] == SHOP
    assert promote(names["shop"], config).files == ()


def test_a_function_comes_back(config: Path) -> None:
    """With its decorator, its imports, and what it uses of its module; promoting it again writes nothing."""
    promote(queue_depth, config)
    module = config.parent / "checks" / "queue_depth.py"
    cell = str(import_check("tests.test_promotion.queue_depth", config))
    assert cell == module.read_text()
    module.write_text(
        "import os\nimport sys\nimport partywidgets as pw\n\nLIMIT = 5\n\n\n@pw.check\ndef few():\n    return LIMIT < len(os.environ)\n"
    )
    few = str(import_check("checks.queue_depth.few", config))
    assert few == (
        "import os\nimport partywidgets as pw\n\n\nLIMIT = 5\n\n\n"
        '@pw.check(id="checks.queue_depth.few")\ndef few():\n    return LIMIT < len(os.environ)\n'
    )
    promote(SHOP, config)
    with pytest.raises(ConfigError, match="no check is called 'shopp': did you mean 'shop'"):
        import_check("shopp", config)


CELLS = """
import asyncio, sys
from pathlib import Path
from IPython.core.interactiveshell import InteractiveShell

shell = InteractiveShell.instance()
cells = [
    "%load_ext partywidgets\\nimport time\\nimport partywidgets as pw",
    "@pw.check(every='1h', crit='> 5')\\ndef depth():\\n    time.sleep(0)\\n    return 7",
    "ops = await pw.ops('partywidgets.yaml')",
    "before = (await ops.scan()).results\\nprint([(row.check_id, row.status) for row in before])",
    "await ops.ack(before[0].fingerprint, reason='known')",
    "promotion = await ops.promote(depth)\\nprint(promotion)",
    "after = (await ops.scan()).results\\nprint([(row.check_id, row.target) for row in after])",
    "print('SAME', after[0].fingerprint == before[0].fingerprint, after[0].suppression.reason, after[0].change)",
    "text = ops.import_check('depth')\\nprint(text)",
]
for cell in cells:
    result = shell.run_cell(cell)
    result.raise_error()
print("NEXT", shell.rl_next_input)
pw = shell.user_ns["pw"]
"""


def test_in_a_notebook(config: Path, tmp_path: Path) -> None:
    """A cell's function is the kernel's, then the config's with its row and ack; its cell comes back as the next input."""
    config.write_text("checks: []\n")
    environment = {
        "PARTYWIDGETS_HOME": str(tmp_path / "home"),
        "IPYTHONDIR": str(tmp_path / "ipython"),
        "PATH": "/usr/bin:/bin",
        "HOME": str(tmp_path),
    }
    done = subprocess.run([sys.executable, "-c", CELLS], cwd=config.parent, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "+modules:\n+  - checks.depth" in done.stdout
    assert "+import time" in done.stdout
    assert "[('depth', 'checks.depth:depth')]" in done.stdout
    assert "SAME True known unchanged" in done.stdout
    assert "NEXT import time\nimport partywidgets as pw\n\n\n@pw.check(id=\"depth\", every='1h', crit='> 5')\ndef depth():" in done.stdout
