"""The one exception of the input: which file, what is wrong with it, and what can be done.

It is raised where nothing can be read, and is plain data where other files can be: those that were skipped.
"""

from nfsrpc.printable import clean
from nfsrpc.sources.name import shown_name

ROOT_ONLY = "tcpdump's files belong to root: read it with sudo"


class SourceError(Exception):
    """A capture that cannot be read. `str()` is one line for standard error."""

    def __init__(self, path: str, reason: str, remedy: str = "") -> None:
        super().__init__(path, reason, remedy)
        self.path = shown_name(path)
        self.reason = reason
        self.remedy = remedy

    def __str__(self) -> str:
        return clean(f"{self.path}: {self.reason}" + (f" ({self.remedy})" if self.remedy else ""))
