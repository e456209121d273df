"""The places where we hold on to MiniStack.

MiniStack has no plugin interface, so every hook replaces or registers a name of one of its modules. Each hook asks
for those names here: when a new version moved one, the start fails at once and says which hook broke and why.
"""

from __future__ import annotations

import importlib
from typing import Any

import ministack

TESTED_VERSION = "1.5.33"


class MiniStackMoved(RuntimeError):
    """A name that one of our hooks needs is no longer where it was."""


def version() -> str:
    """Version of the installed MiniStack, as pip knows it."""
    from importlib.metadata import version as installed

    return installed("ministack")


def need(module: str, name: str, hook: str) -> Any:
    """`ministack.<module>.<name>`, or MiniStackMoved naming the hook that needs it."""
    try:
        return getattr(importlib.import_module(f"ministack.{module}"), name)
    except (ImportError, AttributeError) as error:
        raise MiniStackMoved(
            f"hook '{hook}' needs ministack.{module}.{name}, which MiniStack {version()} no longer has "
            f"(tested with {TESTED_VERSION}): {error}"
        ) from error


def replace(module: str, name: str, value: Any, hook: str) -> Any:
    """Put `value` in the place of `ministack.<module>.<name>`; returns what was there."""
    before = need(module, name, hook)
    setattr(importlib.import_module(f"ministack.{module}"), name, value)
    return before


__all__ = ["MiniStackMoved", "TESTED_VERSION", "ministack", "need", "replace", "version"]
