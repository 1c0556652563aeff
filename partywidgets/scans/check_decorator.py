"""`@pw.check`: a Python function becomes a check."""

from __future__ import annotations

import inspect
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar, overload

from ..exceptions import CheckError
from ..spelling import nearest

if TYPE_CHECKING:
    from .checks.function import FunctionCheck
    from .model import Severity

F = TypeVar("F", bound=Callable[[], Any])


@dataclass(frozen=True, slots=True)
class RegisteredCheck:
    """A function with the check that calls it."""

    function: Callable[[], Any]
    check: FunctionCheck


_registry: dict[str, RegisteredCheck] = {}
_listeners: list[Callable[[RegisteredCheck], None]] = []
_lock = threading.Lock()


def registered(identity: str) -> RegisteredCheck | None:
    """The function registered under `module:qualname`, or None."""
    with _lock:
        return _registry.get(identity)


def registered_checks(modules: Sequence[str] | None = None) -> list[RegisteredCheck]:
    """Every registered function, in the order of definition; only those of `modules`, if given."""
    with _lock:
        entries = list(_registry.values())
    return [entry for entry in entries if modules is None or entry.check.function.partition(":")[0] in modules]


def on_registration(listener: Callable[[RegisteredCheck], None]) -> Callable[[], None]:
    """Calls `listener` with every check that is defined from now on, in the thread that defines it. Returns what ends that."""
    with _lock:
        _listeners.append(listener)

    def stop() -> None:
        with _lock:
            if listener in _listeners:
                _listeners.remove(listener)

    return stop


def forget(identity: str) -> None:
    """Removes a function from the registry; one that is not there is fine."""
    with _lock:
        _registry.pop(identity, None)


@overload
def check(function: F) -> F: ...
@overload
def check(
    *,
    every: str | float | None = None,
    cron: str | None = None,
    timezone: str | None = None,
    timeout: str | float = "10s",
    severity: Severity = "medium",
    title: str | None = None,
    labels: Mapping[str, str] | None = None,
    warn: str | float | None = None,
    crit: str | float | None = None,
    id: str | None = None,
    conditions: Sequence[str] = (),
    attempts: int = 1,
    recovery_attempts: int = 1,
    retries: int = 0,
    retry_delay: str | float = "1s",
    remediation: Mapping[str, Any] | None = None,
    runbook: str | None = None,
    depends_on: Sequence[str] = (),
    enabled: bool = True,
) -> Callable[[F], F]: ...
def check(function: Callable[[], Any] | None = None, **options: Any) -> Any:
    """Registers a function without arguments, plain or async, as a check; the function itself stays as it is.

        @pw.check(every="5m", warn=100, crit=1000)
        def queue_depth():
            return len(queue)

    It returns None or True (ok), False (crit), a number, which `warn` and `crit` judge (as limits, or as conditions such as
    `"value < 5"`), or a `pw.Result`; a failed `assert` is crit, any other exception unknown.

    `every` and `timeout` (10 s) are durations (`"5m"`) or seconds, `cron` is an expression read in `timezone`; without `every` and `cron`
    it runs only when asked. `title` defaults to the first line of the docstring. The identity is module and qualname: defining the function
    again replaces the check. `id` is that name (without `__main__`) unless given. `severity`, `labels`, `conditions`, `attempts`,
    `recovery_attempts`, `retries`, `retry_delay`, `remediation`, `runbook`, `depends_on` and `enabled` are those of a check in the config.
    Raises CheckError for a function that cannot be a check, and for options that no check has.
    """
    if function is not None and not options:
        return _register(function, {})
    if function is not None:
        raise CheckError("@check takes keywords only: write @check(every='5m')")
    return lambda decorated: _register(decorated, options)


def _register(function: Callable[[], Any], options: dict[str, Any]) -> Callable[[], Any]:
    from pydantic import ValidationError

    from .checks.function import FunctionCheck

    if not callable(function) or inspect.isclass(function):
        raise CheckError(f"@check is for functions, got {type(function).__name__}")
    module, qualname = getattr(function, "__module__", None) or "__main__", getattr(function, "__qualname__", type(function).__qualname__)
    name = qualname if module == "__main__" else f"{module}.{qualname}"
    try:
        required = [
            parameter.name
            for parameter in inspect.signature(function).parameters.values()
            if parameter.default is parameter.empty and parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
        ]
    except (TypeError, ValueError):
        required = []
    if required:
        raise CheckError(
            f"the check {name} must not need arguments, but needs {', '.join(required)}: give them defaults or use functools.partial"
        )
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise CheckError(f"the check {name} yields; a check returns None, True, False, a number or pw.Result")
    given = {key: value for key, value in options.items() if value is not None}
    given.setdefault("id", name)
    given.setdefault("title", (inspect.getdoc(function) or "").partition("\n")[0][:200] or qualname)
    try:
        model = FunctionCheck(function=f"{module}:{qualname}", **given)
    except ValidationError as error:
        raise CheckError(f"the check {name}: {_sentence(error.errors()[0])}") from None
    entry = RegisteredCheck(function, model)
    with _lock:
        _registry[model.function] = entry
        listeners = list(_listeners)
    for listener in listeners:
        listener(entry)
    return function


EXPECTED = {
    "dict_type": "a dict",
    "model_type": "a dict",
    "model_attributes_type": "a dict",
    "tuple_type": "a list",
    "list_type": "a list",
    "string_type": "text",
    "string_too_short": "text that is not empty",
}
"""What pydantic wants, in Python's words."""


def _sentence(error: Mapping[str, Any]) -> str:
    place = ".".join(str(part) for part in error["loc"])
    if error["type"] == "extra_forbidden":
        from .checks.function import FunctionCheck

        return f"there is no keyword {place!r}, {nearest(place, sorted(set(FunctionCheck.model_fields) - {'type', 'function'}))}"
    if expected := EXPECTED.get(error["type"]):
        return f"{place}: expected {expected}, got {error['input']!r}"
    message = str(error["msg"])
    own = message.removeprefix("Value error, ")
    if not place:
        return own
    return f"{place}: {own}" if own != message else f"{place}: {message[:1].lower()}{message[1:]}, got {error['input']!r}"
