"""Live, shared ops rooms inside the notebook."""

__version__ = "0.1.0"
