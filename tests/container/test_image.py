"""The image: it is built from this checkout, analyses, reads a stream, and captures with one capability."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.container.image import CACHE, IMAGE, ROOT, Failed, Images, missing, root_file_system

REASON = missing()
pytestmark = [pytest.mark.skipif(REASON is not None, reason=REASON or ""), pytest.mark.acceptance]
DEMO = ROOT / "captures" / "server-without-statd"
# What buildah grants by default: a container of Kubernetes that drops all keeps none of them.
GRANTED = (
    *("AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD", "NET_BIND_SERVICE", "SETFCAP"),
    *("SETGID", "SETPCAP", "SETUID", "SYS_CHROOT"),
)
DROPPED = [argument for name in GRANTED for argument in ("--cap-drop", f"CAP_{name}")]
NET_RAW = 1 << 13  # <linux/capability.h>
SETUID = 1 << 7  # with which buildah becomes the user
FAULT = 1


class Container(NamedTuple):
    images: Images
    name: str
    build_log: str

    def run(self, *command: str, code: int = 0, options: tuple[str, ...] = (), stdin: bytes = b"") -> str:
        """What a command prints, which has to end with this exit code."""
        try:
            printed, ended = self.images.run(self.name, *command, options=options, stdin=stdin), 0
        except Failed as failed:
            printed, ended = failed.printed, failed.code
        assert ended == code, printed
        return printed


@pytest.fixture(scope="module")
def container() -> Iterator[Container]:
    try:
        root_file_system()
    except Failed as failed:
        pytest.skip(f"debootstrap cannot fetch packages: {str(failed).splitlines()[0]}")
    storage = Path(tempfile.mkdtemp(dir=CACHE))
    try:
        images = Images(storage)
        log = images.build()
        yield Container(images, images.container(), log)
    finally:
        shutil.rmtree(storage)


def test_it_is_built_and_runs_as_a_user_without_rights(container: Container) -> None:
    assert f"Successfully tagged {IMAGE}" in container.build_log
    config = json.loads(container.images.buildah("inspect", "--type", "image", IMAGE))["OCIv1"]["config"]
    assert (config["User"], config["Entrypoint"]) == ("10001:10001", ["nfsrpc"])
    assert container.run("id", "-u") == "10001\n"
    assert container.run("sh", "-c", "getcap $(command -v tcpdump)").split() == ["/usr/bin/tcpdump", "cap_net_raw=ep"]
    assert container.run("find", "/opt", "/tmp", "-name", "*.rs", "-o", "-name", "*.whl") == ""


def test_it_analyses(container: Container) -> None:
    report = container.run(
        "nfsrpc", "analyze", "/traces/nfssrv-any.pcap", code=FAULT, options=("--volume", f"{DEMO}:/traces:ro")
    )
    assert report.startswith(" FAULT   REG001 statd-not-registered, certain\n")


def test_it_reads_a_stream_and_has_metrics(container: Container) -> None:
    stream = (DEMO / "nfssrv-any.pcap").read_bytes()
    printed = container.run("nfsrpc", "live", "-", "--metrics", "9464", code=FAULT, stdin=stream)
    assert "parsed as nfsrpc, without capabilities" in printed
    assert "appeared  error REG001, certain" in printed


@pytest.mark.skipif(find_spec("nfsrpc.record") is None, reason="this checkout has no recorder")
def test_it_records_a_stream(container: Container) -> None:
    stream = (DEMO / "nfssrv-any.pcap").read_bytes()
    container.run("nfsrpc", "record", "-", "--directory", "/var/lib/nfsrpc", code=FAULT, stdin=stream)
    assert "REG001" in container.run("nfsrpc", "incidents", "/var/lib/nfsrpc")


def test_it_captures_with_one_capability(container: Container) -> None:
    options = (*DROPPED, "--cap-add", "CAP_NET_RAW")
    capabilities = container.run("grep", "CapBnd", "/proc/self/status", options=options)
    assert int(capabilities.split()[1], 16) & ~SETUID == NET_RAW
    capturing = "(for n in 1 2 3 4 5 6; do sleep 1; echo > /dev/udp/127.0.0.1/9; done) & nfsrpc live -i lo --for 5s"
    printed = container.run("bash", "-c", capturing, options=options)
    assert "tcpdump on lo, parsed as nfsrpc, without capabilities" in printed
    assert "CANNOT TELL" in printed
