"""The one exception of the input: which file, what is wrong with it, and what can be done."""

from nfsrpc.printable import clean

ROOT_ONLY = "tcpdump's files belong to root: read it with sudo"


class SourceError(Exception):
    """A capture that cannot be read. `str()` is one line for standard error."""

    def __init__(self, path: str, reason: str, remedy: str = "") -> None:
        super().__init__(path, reason, remedy)
        self.path = path
        self.reason = reason
        self.remedy = remedy

    def __str__(self) -> str:
        return clean(f"{self.path}: {self.reason}" + (f" ({self.remedy})" if self.remedy else ""))
