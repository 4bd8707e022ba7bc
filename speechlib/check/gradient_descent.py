"""Checks of the exercises of the chapter `gradient_descent`."""

from ._exercise import exercise  # noqa: F401

__all__ = []
