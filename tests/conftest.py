"""What holds for every test: shells that start from a plain home."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# No example is slow by itself: on a busy machine any of them may be, and how long one took is not a property of what is tried.
settings.register_profile("partywidgets", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("partywidgets")

# A shell without job control starts what runs behind it (`./dev test &`) with Ctrl-C ignored, and every program that a test starts would
# inherit that.
for kind in (signal.SIGINT, signal.SIGQUIT):
    if signal.getsignal(kind) is signal.SIG_IGN:
        signal.signal(kind, signal.default_int_handler if kind is signal.SIGINT else signal.SIG_DFL)


@pytest.fixture(scope="session", autouse=True)
def plain_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A home with a prompt and nothing else: what is in a person's own .bashrc may take a minute, or ask something.

    The folders of pip's and npm's downloads stay the person's, and so does their configuration.
    """
    home = tmp_path_factory.mktemp("home")
    (home / ".bashrc").write_text("PS1='\\$ '\n")
    real = Path.home()
    with pytest.MonkeyPatch.context() as patch:
        kept = {"XDG_CACHE_HOME": ".cache", "XDG_CONFIG_HOME": ".config", "NPM_CONFIG_CACHE": ".npm", "NPM_CONFIG_USERCONFIG": ".npmrc"}
        for name, folder in kept.items():
            if name not in os.environ:
                patch.setenv(name, str(real / folder))
        patch.setenv("HOME", str(home))
        yield home
