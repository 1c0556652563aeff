"""The errors are where a person looks for them."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest

from partywidgets import exceptions
from partywidgets.exceptions import PartyError

REFERENCE = Path(__file__).resolve().parents[1] / "docs" / "reference" / "python.md"
ERRORS = [error for _, error in inspect.getmembers(exceptions, inspect.isclass) if issubclass(error, PartyError)]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: error.__name__)
def test_it_is_in_the_tree_and_in_the_reference_and_raised_somewhere(error: type[PartyError]) -> None:
    """The hierarchy drawn above the errors has it, the reference names it, and some code of the package uses it."""
    assert re.search(rf"\b{error.__name__}\b", exceptions.__doc__ or "")
    assert re.search(rf"`(pw\.)?{error.__name__}`", REFERENCE.read_text(encoding="utf-8"))
    sources = Path(exceptions.__file__).parent.rglob("*.py")
    used = (re.search(rf"\b{error.__name__}\b", source.read_text(encoding="utf-8")) for source in sources if source.name != "exceptions.py")
    assert any(used)
