"""A check of a notebook becomes config, and comes back: `ops.promote(check)` and `ops.import_check(id)`."""

from __future__ import annotations

import ast
import contextlib
import difflib
import html
import os
import pprint
import re
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import function_source
from .config import parse_config
from .config_edit import put_entry
from .config_source import read_yaml
from .exceptions import CheckError, ConfigError
from .scans.check_decorator import RegisteredCheck, registered_checks
from .scans.checks.base import CheckModel

Promotable = str | Mapping[str, Any] | CheckModel | Callable[[], Any]
"""The id or the function of a `@pw.check`, or a check as the config has it: its keys, or its model."""

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True, slots=True)
class Written:
    """A file that was written, and what changed in it."""

    path: Path
    diff: str


@dataclass(frozen=True, slots=True, repr=False)
class Promotion:
    """What promoting a check wrote. `files` is empty where it stood there already."""

    check_id: str
    files: tuple[Written, ...]
    identity: str | None = None
    """`module:qualname` of the function in the notebook, which the config now has in its place."""

    def __repr__(self) -> str:
        if not self.files:
            return f"{self.check_id} stands there already: nothing was written"
        return f"{self.check_id} is config now\n" + "\n".join(one.diff for one in self.files)

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(repr(self))}</pre>"


class CheckText(str):
    """The text of a cell; shown as it is, without quotes."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


def promote(check: Promotable, path: Path | str, *, module: str | None = None, replace: bool = False) -> Promotion:
    """Writes a check into the config at `path`, which is made where there is none; comments and layout stay.

    A function goes into a module beside the config (`checks.<name>` unless `module` says otherwise), which is added to `modules:`; its id
    stays. Everything else goes under `checks:`. A check of that id that is there already is replaced with `replace` alone.
    Raises CheckError or ConfigError, and writes nothing, where that is not possible or the outcome would not be right.
    """
    place = Path(path).expanduser().absolute()
    before = _text_of(place) if place.exists() else ""
    parse_config(before, path=str(place))  # what is wrong there already is told as it is
    function = _function(check)
    if function is None:
        entry = _entry(check)
        texts = {place: _with_entry(before, entry, place, replace=replace)}
        check_id, identity = str(entry["id"]), None
    else:
        check_id, identity = function.check.id, function.check.function
        texts = _with_function(before, function, place, module, replace=replace)
    parse_config(texts[place], path=str(place))
    changed = {file: text for file, text in texts.items() if not file.exists() or _text_of(file) != text}
    files = tuple(Written(file, _diff(file, text, place.parent)) for file, text in changed.items())
    for file, text in changed.items():
        _write(file, text)
    return Promotion(check_id, files, identity)


def import_check(check_id: str, path: Path | str) -> CheckText:
    """The text of a cell that makes a check of the config at `path` again: its keys as a literal, or its function with what it needs.

    Raises ConfigError when the config has no such check.
    """
    place = Path(path).expanduser().absolute()
    text = _text_of(place)
    parse_config(text, path=str(place))
    value = read_yaml(text, path=str(place)).value or {}
    for entry in value.get("checks") or []:
        if entry["id"] == check_id:
            name = "check" if not _NAME.fullmatch(check_id) else check_id
            return CheckText(f"{name} = {pprint.pformat(entry, sort_dicts=False, width=100)}\n# await ops.promote({name}, replace=True)")
    for module in value.get("modules") or []:
        source = _module_file(place.parent, module)
        if source.is_file():
            code = _text_of(source)
            for node in _tree(code, source).body:
                if isinstance(node, function_source.Definition) and function_source.id_of(node, module) == check_id:
                    found = function_source.pinned(function_source.segment(code, node), check_id)
                    whole = function_source.needed(code, node.name)
                    return CheckText(whole.replace(function_source.segment(code, node).rstrip() + "\n", found))
    known = [*(str(entry["id"]) for entry in value.get("checks") or []), *(value.get("modules") or [])]
    near = difflib.get_close_matches(check_id, known, 1)
    raise ConfigError(
        f"no check is called {check_id!r}" + (f": did you mean {near[0]!r}?" if near else ", nor does a module beside the config have it"),
        path=str(place),
    )


def _function(check: Promotable) -> RegisteredCheck | None:
    if isinstance(check, (Mapping, CheckModel)):
        return None
    entries = registered_checks()
    found = next((one for one in entries if one.check.id == check if isinstance(check, str)), None) or next(
        (one for one in reversed(entries) if one.function is check), None
    )
    if found is None:
        what = f"no check of this notebook is called {check!r}" if isinstance(check, str) else f"{_named(check)} is not a check"
        raise CheckError(f"{what}: put @pw.check above its `def`, or give a check as the config has it, with an id and a type")
    return found


def _named(check: Any) -> str:
    return str(getattr(check, "__qualname__", type(check).__name__))


def _entry(check: Any) -> dict[str, Any]:
    if isinstance(check, CheckModel):
        return {"id": check.id, "type": check.type, **check.model_dump(mode="json", exclude_defaults=True, exclude={"id", "type"})}
    entry = dict(check)
    if not isinstance(entry.get("id"), str) or not isinstance(entry.get("type"), str):
        raise CheckError("a check has an `id` and a `type`: {'id': 'shop', 'type': 'http', 'url': …}")
    if entry["type"] == "function":
        raise CheckError("a check of type function is a function: promote that")
    return entry


def _with_entry(text: str, entry: dict[str, Any], place: Path, *, replace: bool) -> str:
    checks = (read_yaml(text, path=str(place)).value or {}).get("checks") or []
    at = next((index for index, one in enumerate(checks) if one["id"] == entry["id"]), None)
    if at is not None and checks[at] == entry:
        return text
    if at is not None and not replace:
        raise _taken(str(entry["id"]), place)
    return put_entry(text, "checks", entry, at=at, path=str(place))


def _with_function(text: str, function: RegisteredCheck, place: Path, module: str | None, *, replace: bool) -> dict[Path, str]:
    check_id = function.check.id
    imports, source = function_source.read(function.function, check_id)
    name = function.function.__name__
    value = read_yaml(text, path=str(place)).value or {}
    if any(one["id"] == check_id for one in value.get("checks") or []):
        raise ConfigError(
            f"the check id {check_id!r} is one of `checks:` there: take that out first, or give the function another id", path=str(place)
        )
    module = module or f"checks.{name}"
    if not all(map(_NAME.fullmatch, module.split("."))):
        raise CheckError(f"{module!r} is not a module name: write it as in an import, for example team.checks")
    file = _module_file(place.parent, module)
    texts: dict[Path, str] = {}
    for folder in list(file.relative_to(place.parent).parents)[:-1]:
        if not (place.parent / folder).exists():
            texts[place.parent / folder / "__init__.py"] = ""  # else another package of that name, anywhere, would come before it
    code = _text_of(file) if file.exists() else ""
    present = next((node for node in _tree(code, file).body if isinstance(node, function_source.Definition) and node.name == name), None)
    if present is not None:
        old = function_source.segment(code, present)
        if old.rstrip() != source.rstrip() and not replace:
            raise _taken(check_id, file)
        code = code.replace(old, source, 1)
    else:
        code = f"{code.rstrip()}\n\n\n{source}" if code.strip() else source
    texts[file] = _with_imports(code, imports)
    compile(texts[file], str(file), "exec")
    modules = value.get("modules") or []
    texts[place] = text if module in modules else put_entry(text, "modules", module, path=str(place))
    return texts


def _with_imports(code: str, lines: list[str]) -> str:
    """The code with those import lines that it has not yet, behind those that it has."""
    nodes = ast.parse(code).body
    there = {ast.unparse(node) for node in nodes if isinstance(node, (ast.Import, ast.ImportFrom))}
    fresh = [line for line in lines if line not in there]
    if not fresh:
        return code
    begin = 0
    for node in nodes:
        docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        if not docstring and not isinstance(node, (ast.Import, ast.ImportFrom)):
            break
        begin = node.end_lineno or 0
    head, tail = code.splitlines(keepends=True)[:begin], code.splitlines(keepends=True)[begin:]
    rest = "".join(tail).lstrip("\n")
    return "".join(head) + "\n".join(fresh) + "\n\n\n" + rest


def _tree(code: str, file: Path) -> ast.Module:
    try:
        return ast.parse(code)
    except SyntaxError as error:
        raise ConfigError(f"the module cannot be read: {error.msg}", path=str(file), line=error.lineno) from None


def _module_file(base: Path, module: str) -> Path:
    package = base.joinpath(*module.split("."))
    return package / "__init__.py" if package.is_dir() else package.with_suffix(".py")


def _taken(check_id: str, place: Path) -> ConfigError:
    return ConfigError(
        f"the check {check_id!r} stands there already and is another one: promote(…, replace=True) puts yours in its place", path=str(place)
    )


def _diff(file: Path, text: str, base: Path) -> str:
    name = str(file.relative_to(base)) if file.is_relative_to(base) else str(file)
    before = _text_of(file).splitlines() if file.exists() else []
    return (
        "\n".join(difflib.unified_diff(before, text.splitlines(), name if before else "/dev/null", name, lineterm="", n=2)) or f"+++ {name}"
    )


def _text_of(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise ConfigError(f"it cannot be read: {error.strerror}", path=str(file)) from None
    except UnicodeDecodeError:
        raise ConfigError("it cannot be read: it is not text in UTF-8", path=str(file)) from None


def _write(file: Path, text: str) -> None:
    """Puts a file in place as a whole: who reads it meanwhile sees the former one."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
    except OSError as error:
        raise ConfigError(f"it cannot be written: {error.strerror}", path=str(file)) from None
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        os.chmod(name, file.stat().st_mode & 0o777 if file.exists() else 0o644)
        os.replace(name, file)
    except OSError as error:
        with contextlib.suppress(OSError):
            os.unlink(name)
        raise ConfigError(f"it cannot be written: {error.strerror}", path=str(file)) from None
