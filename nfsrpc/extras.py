"""Packages that only some functions need: each is an extra of nfsrpc, imported when such a function is called."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from importlib import import_module
from typing import Any


class MissingExtraError(ImportError):
    """A package that is not installed. `str()` is one line that says what to install."""


def extra(name: str, module: str, purpose: str) -> Any:
    """A module of the extra of this name. Raises MissingExtraError.

    >>> extra("plots", "no_such_module", "a plot")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    nfsrpc.extras.MissingExtraError: a plot needs no_such_module: ...pip install 'nfsrpc[plots]'
    """
    try:
        return import_module(module)
    except ImportError as error:
        raise MissingExtraError(f"{purpose} needs {module}: {install_command(name)}", name=module) from error


def install_command(name: str) -> str:
    """The command that installs an extra into the environment of this process.

    pip takes the package that is installed, of a wheel or of a checkout, and adds what its extra needs.
    """
    pip = shutil.which("pip")
    is_ours = pip is not None and os.path.dirname(pip) == os.path.dirname(sys.executable)
    return f"{'pip' if is_ours else f'{shlex.quote(sys.executable)} -m pip'} install 'nfsrpc[{name}]'"
