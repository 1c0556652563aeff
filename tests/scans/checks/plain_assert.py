"""An assertion that pytest does not rewrite, as in a notebook's cell."""


def queue_is_short() -> None:
    """Fails, without a message."""
    depth = 120
    assert depth < 100
