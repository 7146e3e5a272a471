"""Packages that only some functions need: each is an extra of nfsrpc, imported when such a function is called."""

from __future__ import annotations

from importlib import import_module
from typing import Any


class MissingExtraError(ImportError):
    """A package that is not installed. `str()` is one line that says what to install."""


def extra(name: str, module: str, purpose: str) -> Any:
    """A module of the extra of this name. Raises MissingExtraError.

    >>> extra("plots", "no_such_module", "a plot")
    Traceback (most recent call last):
    nfsrpc.extras.MissingExtraError: a plot needs no_such_module: pip install 'nfsrpc[plots]'
    """
    try:
        return import_module(module)
    except ImportError as error:
        raise MissingExtraError(f"{purpose} needs {module}: pip install 'nfsrpc[{name}]'", name=module) from error
