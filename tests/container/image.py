"""The image of Containerfile, built by buildah without a registry: FROM a root file system that debootstrap makes.

What takes minutes is kept beside other temporary files, outside the repository: the root file system and what cargo has
built. The Rust toolchain, crates and settings of pip are those of this machine; they are mounted while the image is
built, and are no part of it.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parents[2]
# What python:slim and rust:slim hold, and what Containerfile installs on top: it then has nothing to fetch.
PACKAGES = ("ca-certificates", "gcc", "libc6-dev", "libcap2-bin", "python3", "python3-venv", "tcpdump")
CACHE = Path(tempfile.gettempdir()) / f"nfsrpc-image-{os.getuid()}"
BASE, RUST, IMAGE = "localhost/nfsrpc-base", "localhost/nfsrpc-rust", "localhost/nfsrpc"
CARGO = Path(os.environ.get("CARGO_HOME", Path.home() / ".cargo"))
RUSTUP = Path(os.environ.get("RUSTUP_HOME", Path.home() / ".rustup"))
MOUNTED = ("/etc/pip.conf", "/etc/ssl/certs", "/usr/share/ca-certificates", "/usr/local/share/ca-certificates")
# Not what is shipped: a wheel that is built in a third of the time.
FAST = {"CARGO_PROFILE_RELEASE_LTO": "off", "CARGO_PROFILE_RELEASE_CODEGEN_UNITS": "16"}
BUILD_S, RUN_S = 1800, 180


def missing() -> str | None:
    """Why the image cannot be built here; None if it can."""
    if os.geteuid() != 0:
        return "debootstrap and buildah --isolation chroot need root"
    for command in ("buildah", "debootstrap"):
        if not shutil.which(command, path=f"{os.environ['PATH']}:/usr/sbin:/sbin"):
            return f"{command} is not installed: apt install buildah debootstrap"
    return None if (CARGO / "bin" / "cargo").exists() else "no cargo of rustup"


class Failed(Exception):
    """A command failed; `str()` has what it printed."""

    def __init__(self, command: Sequence[str], code: int, printed: str) -> None:
        super().__init__(f"{' '.join(command)}: exit code {code}\n{printed}")
        self.code, self.printed = code, printed


def run(*command: str | Path, stdin: bytes = b"", timeout: float = BUILD_S) -> str:
    """What a command prints. Raises Failed."""
    told = subprocess.run(
        [str(part) for part in command],
        input=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=os.environ | {"PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin", "LC_ALL": "C.UTF-8"},
        timeout=timeout,
        check=False,
    )
    text = told.stdout.decode(errors="backslashreplace")
    if told.returncode:
        raise Failed([str(part) for part in command], told.returncode, text)
    return text


def root_file_system() -> Path:
    """A tar file with a small Debian, made once. Raises Failed where packages cannot be fetched."""
    release = next(line for line in Path("/etc/os-release").read_text().splitlines() if "VERSION_CODENAME" in line)
    codename = release.partition("=")[2]
    digest = hashlib.sha256(" ".join(PACKAGES).encode()).hexdigest()[:8]
    file = CACHE / f"{codename}-{digest}.tar"
    if file.exists():
        return file
    CACHE.mkdir(mode=0o700, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE) as name:
        tree = Path(name) / "root"
        run("debootstrap", "--variant=minbase", f"--include={','.join(PACKAGES)}", codename, tree)
        shutil.rmtree(tree / "var" / "cache" / "apt" / "archives", ignore_errors=True)
        part = Path(name) / "tar"
        run("tar", "--create", "--file", part, "--directory", tree, "--xattrs", "--one-file-system", ".")
        part.rename(file)
    return file


class Images:
    """Images in a storage of their own."""

    def __init__(self, storage: Path) -> None:
        self.storage = storage

    def buildah(self, *arguments: str | Path, stdin: bytes = b"", timeout: float = BUILD_S) -> str:
        own = ("--storage-driver", "vfs", "--root", self.storage / "root", "--runroot", self.storage / "run")
        return run("buildah", *own, *arguments, stdin=stdin, timeout=timeout)

    def make_bases(self) -> None:
        container = self.buildah("from", "scratch").split()[-1]
        self.buildah("add", "--quiet", container, root_file_system(), "/")
        self.buildah("commit", "--quiet", container, BASE)
        cargo = {
            "PATH": f"{CARGO}/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "CARGO_HOME": str(CARGO),
            "RUSTUP_HOME": str(RUSTUP),
            "CARGO_TARGET_DIR": "/target",
        }
        for name, value in (cargo | FAST).items():
            self.buildah("config", "--env", f"{name}={value}", container)
        self.buildah("commit", "--quiet", "--rm", container, RUST)

    def build(self) -> str:
        """Builds the image; what buildah prints."""
        self.make_bases()
        target = CACHE / "target"
        target.mkdir(exist_ok=True)
        mounts = [f"{CARGO}:{CARGO}", f"{RUSTUP}:{RUSTUP}:ro", f"{target}:/target"]
        mounts += [f"{path}:{path}:ro" for path in MOUNTED if os.path.exists(path)]
        volumes = [argument for mount in mounts for argument in ("--volume", mount)]
        arguments = ("--build-arg", f"BASE={BASE}", "--build-arg", f"RUST={RUST}", "--tag", IMAGE)
        return self.buildah("bud", "--isolation", "chroot", *volumes, *arguments, ROOT)

    def container(self) -> str:
        """A new container of the image, which takes as long as copying it."""
        return self.buildah("from", "--pull-never", IMAGE).split()[-1]

    def run(self, container: str, *command: str, options: Sequence[str] = (), stdin: bytes = b"") -> str:
        """What a command prints in a container, as the image's user. Raises Failed."""
        own = ("run", "--isolation", "chroot", *options, container, "--", *command)
        return self.buildah(*own, stdin=stdin, timeout=RUN_S)
