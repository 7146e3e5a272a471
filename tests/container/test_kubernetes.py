"""The manifests: what kustomize makes of them is valid, and grants a recorder what it needs and nothing else."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from nfsrpc.metrics.exporter import address
from tests.container.image import ROOT

KUBERNETES = ROOT / "contrib" / "kubernetes"
VERSIONS = ("1.28.0", "1.34.0")
USER = 10001
SERVER = """
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: ganesha, labels: {nfsrpc-sidecar: "true"}}
spec:
  serviceName: ganesha
  selector: {matchLabels: {app: ganesha}}
  template:
    metadata: {labels: {app: ganesha}}
    spec:
      containers:
        - {name: ganesha, image: ganesha, volumeMounts: [{name: export, mountPath: /export}]}
      volumes: [{name: export, emptyDir: {}}]
"""
has_kubectl = pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not installed")


def documents(file: Path) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all(file.read_text(encoding="utf-8")))


def built(directory: Path) -> dict[str, Any]:
    """What `kubectl apply -k` would apply, by kind."""
    told = subprocess.run(["kubectl", "kustomize", directory], capture_output=True, text=True, timeout=60, check=False)
    assert told.returncode == 0, told.stderr
    return {document["kind"]: document for document in yaml.safe_load_all(told.stdout)}


@pytest.fixture
def pod() -> dict[str, Any]:
    [document] = documents(KUBERNETES / "daemonset.yaml")
    pod: dict[str, Any] = document["spec"]["template"]["spec"]
    return pod


def test_the_files_that_are_named_are_there() -> None:
    for file in KUBERNETES.rglob("kustomization.yaml"):
        [document] = documents(file)
        named = [*document.get("resources", []), *(patch["path"] for patch in document.get("patches", []))]
        assert named
        assert [name for name in named if not (file.parent / name).exists()] == []


@pytest.mark.parametrize("version", VERSIONS)
@has_kubectl
def test_the_base_is_valid(version: str) -> None:
    found = built(KUBERNETES)
    assert found.keys() == {"Namespace", "DaemonSet"}
    for document in found.values():
        kubernetes_validate.validate(document, version, strict=True)
    selector = found["DaemonSet"]["spec"]["selector"]["matchLabels"]
    assert selector == found["DaemonSet"]["spec"]["template"]["metadata"]["labels"]


def test_the_recorder_has_no_capability_but_that_of_capturing(pod: dict[str, Any]) -> None:
    [recorder], [owner] = pod["containers"], pod["initContainers"]
    assert pod["hostNetwork"] is True
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] == USER
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert recorder["securityContext"]["capabilities"] == {"drop": ["ALL"], "add": ["NET_RAW"]}
    assert owner["securityContext"]["capabilities"] == {"drop": ["ALL"], "add": ["CHOWN"]}
    assert owner["command"][1] == f"{USER}:{USER}"
    for container in (recorder, owner):
        assert container["securityContext"]["readOnlyRootFilesystem"] is True
        assert "privileged" not in container["securityContext"]
        assert container["resources"]["limits"]["memory"]
        assert {mount["name"] for mount in container["volumeMounts"]} <= {volume["name"] for volume in pod["volumes"]}
    assert {"operator": "Exists"} in pod["tolerations"]


def test_the_user_is_that_of_the_image() -> None:
    text = (ROOT / "Containerfile").read_text(encoding="utf-8")
    assert re.search(r"^USER (\d+):(\d+)$", text, re.MULTILINE).groups() == (str(USER), str(USER))  # type: ignore[union-attr]
    assert f"--uid {USER} " in text


@pytest.mark.parametrize("file", ["daemonset.yaml", "sidecar/patch.yaml"])
def test_metrics_are_served_where_the_port_is(file: str) -> None:
    [document] = documents(KUBERNETES / file)
    [container] = document["spec"]["template"]["spec"]["containers"]
    [option] = [each for each in container["args"] if each.startswith("--metrics=")]
    [variable] = re.findall(r"\$\((\w+)\)", option)
    assert variable in {each["name"] for each in container["env"]}
    [port] = container["ports"]
    for host in ("10.0.0.1", "fd00::1"):
        assert address(option.removeprefix("--metrics=").replace(f"$({variable})", host)) == (
            host,
            port["containerPort"],
        )
    [directory] = [each for each in container["args"] if each.startswith("--directory=")]
    assert directory.removeprefix("--directory=") in {mount["mountPath"] for mount in container["volumeMounts"]}


@has_kubectl
def test_the_podmonitor_finds_the_pods(tmp_path: Path) -> None:
    """`components` is what a user adds; the definition of PodMonitor is not one of Kubernetes' own."""
    kustomization = tmp_path / "all" / "kustomization.yaml"
    shutil.copytree(KUBERNETES, tmp_path / "base")
    kustomization.parent.mkdir()
    kustomization.write_text(
        "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources: [../base]\n"
        "components: [../base/podmonitor]\n",
        encoding="utf-8",
    )
    found = built(kustomization.parent)
    labels = found["DaemonSet"]["spec"]["template"]["metadata"]["labels"]
    monitor = found["PodMonitor"]["spec"]
    assert monitor["selector"]["matchLabels"].items() <= labels.items()
    ports = [port["name"] for port in found["DaemonSet"]["spec"]["template"]["spec"]["containers"][0]["ports"]]
    assert [endpoint["port"] for endpoint in monitor["podMetricsEndpoints"]] == ports


@pytest.mark.parametrize("kind", ["StatefulSet", "Deployment"])
@has_kubectl
def test_the_sidecar_stands_beside_the_server(tmp_path: Path, kind: str) -> None:
    shutil.copytree(KUBERNETES / "sidecar", tmp_path / "sidecar")
    directory = tmp_path / "server"
    directory.mkdir()
    server = SERVER.replace("StatefulSet", kind)
    (directory / "server.yaml").write_text(
        server.replace("  serviceName: ganesha\n", "") if kind == "Deployment" else server, encoding="utf-8"
    )
    (directory / "kustomization.yaml").write_text(
        "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources: [server.yaml]\n"
        "components: [../sidecar]\n",
        encoding="utf-8",
    )
    document = built(directory)[kind]
    kubernetes_validate.validate(document, VERSIONS[-1], strict=True)
    spec = document["spec"]["template"]["spec"]
    assert sorted(container["name"] for container in spec["containers"]) == ["ganesha", "nfsrpc"]
    assert sorted(volume["name"] for volume in spec["volumes"]) == ["export", "nfsrpc-ring", "nfsrpc-tmp"]
    [recorder] = [container for container in spec["containers"] if container["name"] == "nfsrpc"]
    assert recorder["image"] == "registry.example.org/nfsrpc:0.1.0"
    assert "hostNetwork" not in spec


def test_the_build_reads_what_it_copies_and_nothing_else() -> None:
    text = (ROOT / "Containerfile").read_text(encoding="utf-8")
    copied = {
        source for line in re.findall(r"^COPY (?!--from)(.*)$", text, re.MULTILINE) for source in shlex.split(line)[:-1]
    }
    ignored = (ROOT / ".containerignore").read_text(encoding="utf-8").splitlines()
    allowed = {line[1:].split("/")[0] for line in ignored if line.startswith("!")}
    assert copied == allowed
    assert "*" in ignored
