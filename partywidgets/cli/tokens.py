"""Where the command line takes a token from, and how it makes one."""

from __future__ import annotations

import logging
import os
import stat
import sys
from pathlib import Path

from ..exceptions import ConfigError
from ..party.owner import owner_of
from . import say


def read_token(token_file: Path | None) -> str | None:
    """The token in `token_file`, else in PARTYWIDGETS_TOKEN; never an argument, which every process can read.

    Raises ConfigError for a file that cannot be read or does not hold one token.
    """
    if token_file is None:
        return os.environ.get("PARTYWIDGETS_TOKEN") or None
    try:
        mode = token_file.stat().st_mode
        text = token_file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ConfigError(f"the token file cannot be read: {reason}{owner_of(token_file)}", path=str(token_file)) from None
    if not text or len(text.split()) != 1:
        raise ConfigError("a token file holds one token on one line: make one with `partywidgets token --file`", path=str(token_file))
    if stat.S_IMODE(mode) & 0o077:
        say(f"{token_file} can be read by others on this machine: chmod 600 {token_file}", logging.WARNING)
    return text


def write_token(path: Path) -> str:
    """A new token, in a new file that only its owner can read. Raises ConfigError when the file is there or cannot be made."""
    from ..auth import new_token

    token = new_token()
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise ConfigError("the file exists already: remove it, or choose another name", path=str(path)) from None
    except OSError as error:
        raise ConfigError(
            f"the token file cannot be created: {error.strerror}; name a file in a directory that exists and that you may write to",
            path=str(path),
        ) from None
    with open(descriptor, "w", encoding="utf-8") as file:
        file.write(token + "\n")
    return token


def make(path: Path | None) -> None:
    """`partywidgets token`."""
    from ..auth import new_token

    if path is None:
        print(new_token())
        return
    write_token(path)
    print(f"a new token is in {path}: the owner's for `serve --token-file`, or somebody's for `auth.tokens` of a config", file=sys.stderr)
