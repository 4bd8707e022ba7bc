"""Checks of the exercises of the chapter `sound`."""

from ._exercise import exercise  # noqa: F401

__all__ = []
