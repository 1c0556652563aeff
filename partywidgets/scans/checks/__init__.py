"""The kinds of checks that a config may use, by their `type`. What a probe needs beyond the standard library is imported when it first
looks."""

from .base import CheckModel
from .http import HttpCheck

CHECK_TYPES: dict[str, type[CheckModel]] = {
    "http": HttpCheck,
}
