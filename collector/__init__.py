"""Collects raw configuration as evidence, judges it, and signs what it found."""

__all__ = ["__version__"]

__version__ = "0.1.0"
