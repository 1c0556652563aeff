"""Benchmarks: one file a figure, each with its peers in the same run."""
