"""The source of a check function as text that stands alone: with the imports it needs, and its id written down."""

from __future__ import annotations

import ast
import builtins
import inspect
import symtable
import sys
from collections.abc import Callable, Iterable
from textwrap import dedent
from types import ModuleType
from typing import Any

import partywidgets

from .exceptions import CheckError

Definition = ast.FunctionDef | ast.AsyncFunctionDef


def read(function: Callable[[], Any], check_id: str) -> tuple[list[str], str]:
    """The import lines that a function of a notebook needs, and its own source with `id=` in its decorator.

    Raises CheckError in one sentence where it has no source, or uses what the notebook alone has.
    """
    name = getattr(function, "__qualname__", type(function).__name__)
    try:
        source = dedent(inspect.getsource(function))
        definition = ast.parse(source).body[0]
    except (OSError, TypeError, SyntaxError, IndexError):
        raise CheckError(f"{name} has no source that could be written to a file: define it with `def` in a cell or a module") from None
    if not isinstance(definition, Definition) or "<locals>" in name:
        raise CheckError(f"{name} is defined inside something else: define it with `def` at the top of a cell")
    held = inspect.unwrap(function).__globals__
    imports, missing = [], []
    for used in sorted(free_names(source) - {definition.name}):
        line = _import_of(used, held[used]) if used in held else None
        if line is not None:
            imports.append(line)
        elif used in held or not hasattr(builtins, used):
            missing.append(used)
    if missing:
        raise CheckError(
            f"{name} uses {', '.join(missing)} of this notebook: define that inside the function, or import it from a module that the "
            "config's directory has"
        )
    imports.sort(key=lambda line: (line.split()[1].partition(".")[0] not in sys.stdlib_module_names, line))
    return imports, pinned(source, check_id)


def free_names(source: str) -> set[str]:
    """The names that a text uses and does not define, built-in ones too."""
    found: set[str] = set()

    def look(table: symtable.SymbolTable) -> None:
        for symbol in table.get_symbols():
            top = table.get_type() == "module"
            if symbol.is_referenced() and (not symbol.is_assigned() and not symbol.is_imported() if top else symbol.is_global()):
                found.add(symbol.get_name())
        for child in table.get_children():
            look(child)

    top = symtable.symtable(source, "<check>", "exec")
    look(top)
    return found - {symbol.get_name() for symbol in top.get_symbols() if symbol.is_assigned() or symbol.is_imported()}


def _import_of(name: str, value: Any) -> str | None:
    """The line that imports a value under a name; None for one that only a notebook has."""
    if isinstance(value, ModuleType):
        return f"import {value.__name__}" + ("" if value.__name__ == name else f" as {name}")
    if name in partywidgets.__all__ and getattr(partywidgets, name) is value:
        return f"from partywidgets import {name}"
    module, qualname = getattr(value, "__module__", None), getattr(value, "__qualname__", None)
    if not isinstance(module, str) or not isinstance(qualname, str) or module == "__main__":
        return None
    if getattr(sys.modules.get(module), qualname, None) is not value:
        return None
    return f"from {module} import {qualname}" + ("" if qualname == name else f" as {name}")


def decorator_of(definition: Definition) -> ast.expr | None:
    """The `@pw.check` of a function, however the package is called there."""
    for decorator in definition.decorator_list:
        called = decorator.func if isinstance(decorator, ast.Call) else decorator
        if (called.attr if isinstance(called, ast.Attribute) else called.id if isinstance(called, ast.Name) else "") == "check":
            return decorator
    return None


def id_of(definition: Definition, module: str) -> str | None:
    """The id of a check function in a module's text; None where it is not a check, or its id is not a plain text."""
    decorator = decorator_of(definition)
    if decorator is None:
        return None
    given = next((one.value for one in getattr(decorator, "keywords", []) if one.arg == "id"), None)
    if given is None:
        return f"{module}.{definition.name}"
    return given.value if isinstance(given, ast.Constant) and isinstance(given.value, str) else None


def pinned(source: str, check_id: str) -> str:
    """The source of one function with its id in its decorator: elsewhere it would be named by its module."""
    definition = ast.parse(source).body[0]
    assert isinstance(definition, Definition)
    decorator = decorator_of(definition)
    if decorator is None:
        raise CheckError(f"{definition.name} has no @check above it in its source: decorate it where it is defined")
    if any(keyword.arg == "id" for keyword in getattr(decorator, "keywords", [])):
        return source.rstrip() + "\n"
    called = decorator.func if isinstance(decorator, ast.Call) else decorator
    lines = source.splitlines(keepends=True)
    line = lines[(called.end_lineno or 1) - 1].encode()
    head, tail = line[: called.end_col_offset].decode(), line[called.end_col_offset :].decode()
    written = f'id="{check_id}"' if '"' not in check_id and "\\" not in check_id else f"id={check_id!r}"
    if isinstance(decorator, ast.Call):
        opening = tail.index("(") + 1
        more = ", " if decorator.args or decorator.keywords else ""
        tail = f"{tail[:opening]}{written}{more}{tail[opening:].lstrip(' ')}"
    else:
        tail = f"({written}){tail}"
    lines[(called.end_lineno or 1) - 1] = head + tail
    return "".join(lines).rstrip() + "\n"


def segment(text: str, node: ast.stmt) -> str:
    """The lines of a statement, its decorators included."""
    first = min([node.lineno, *(decorator.lineno for decorator in getattr(node, "decorator_list", []))])
    return "".join(text.splitlines(keepends=True)[first - 1 : node.end_lineno])


def needed(text: str, name: str) -> str:
    """What a module's text has for one of its functions: its imports, what it uses of the module, and the function itself, in order."""
    nodes = ast.parse(text).body
    wanted, kept = {name}, set[int]()
    changed = True
    while changed:
        changed = False
        for index, node in enumerate(nodes):
            if index not in kept and wanted & set(_bound(node)):
                kept.add(index)
                wanted |= free_names(segment(text, node))
                changed = True
    parts: list[str] = []
    for index in sorted(kept):
        node = nodes[index]
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            node.names = [alias for alias in node.names if _alias(alias) in wanted]
            parts.append(ast.unparse(node) + "\n")
        else:
            parts.append(("\n\n" if parts else "") + segment(text, node).rstrip() + "\n")
    return "".join(parts)


def _bound(node: ast.stmt) -> Iterable[str]:
    """The names that a statement at the top of a module binds."""
    if isinstance(node, (ast.Import, ast.ImportFrom)):
        return [_alias(alias) for alias in node.names]
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        return [node.name]
    return [inner.id for inner in ast.walk(node) if isinstance(inner, ast.Name) and isinstance(inner.ctx, ast.Store)]


def _alias(alias: ast.alias) -> str:
    return alias.asname or alias.name.partition(".")[0]
