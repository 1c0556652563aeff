"""The Python side of the widgets, and what a notebook calls (`ops.py`). What a page shows is in `ts/`."""
