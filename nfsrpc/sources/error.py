"""The one exception of the input: which file, what is wrong with it, and what to do.

It is raised where no file can be read. Where others can, it is plain data: one error per file that was skipped.
"""

from nfsrpc.printable import clean
from nfsrpc.sources.name import SEPARATOR, shown_name

ROOT_ONLY = "tcpdump's files belong to root: read it with sudo"
READS_URLS = "it looks like a URL: nfsrpc analyze --dask reads those"


class SourceError(Exception):
    """A capture that cannot be read. `str()` is one line for standard error."""

    def __init__(self, path: str, reason: str, remedy: str = "") -> None:
        super().__init__(path, reason, remedy)
        self.path = shown_name(path)
        self.reason = reason
        self.remedy = remedy

    def __str__(self) -> str:
        return clean(f"{self.path}: {self.reason}" + (f" ({self.remedy})" if self.remedy else ""))


def missing(path: str, reason: str = "no such file") -> SourceError:
    """The error of a name that leads to no file."""
    return SourceError(path, reason, READS_URLS if SEPARATOR in path else "")
