"""A real container runtime as Kubernetes' nodes run it: containerd with its CRI plugin, whose streaming server speaks the channel protocol.

Use: `from tests.cri_fixture import cri_runtime` in a conftest; `cri_runtime.start()` gives a container's id, `cri_runtime.exec_url(…)` the
address at which its shell is spoken to. No registry is asked, and no network is set up: the pods use the host's.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import secrets
import shutil
import subprocess
import tarfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from .engines_fixture import _end, _end_rest, _require, _short_folder, _wait, busybox_layer, program_files

PLAIN = "docker.io/partywidgets/busybox:test"
WITH_BASH = "docker.io/partywidgets/bash:test"
_NODE_NETWORK = 2
"""NamespaceMode NODE of the Container Runtime Interface (api.proto of k8s.io/cri-api, runtime.v1)."""


def message(*fields: tuple[int, bytes | str | int]) -> bytes:
    """Fields of a protobuf message, encoded (numbers as varints, the rest length-delimited): the CRI needs no more of it."""
    out = bytearray()
    for number, value in fields:
        if isinstance(value, int):
            out += _varint(number << 3) + _varint(value)
        else:
            raw = value.encode() if isinstance(value, str) else value
            out += _varint(number << 3 | 2) + _varint(len(raw)) + raw
    return bytes(out)


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def first_text(answer: bytes) -> str:
    """The first field of an answer: an id, or a URL of less than 128 bytes."""
    assert answer[0] == 0x0A, answer
    assert answer[1] < 0x80, answer
    return answer[2 : 2 + answer[1]].decode()


def image_archive(name: str, layer: bytes) -> bytes:
    """An image of one layer as `docker save` would write it."""
    config = json.dumps(
        {
            "architecture": "arm64" if os.uname().machine == "aarch64" else "amd64",
            "os": "linux",
            "config": {"Cmd": ["/bin/sleep", "100000"], "Env": ["PATH=/bin:/usr/bin"]},
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}"]},
        }
    ).encode()
    config_name = f"{hashlib.sha256(config).hexdigest()}.json"
    manifest = json.dumps([{"Config": config_name, "RepoTags": [name], "Layers": ["layer.tar"]}]).encode()
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as archive:
        for path, content in ((config_name, config), ("layer.tar", layer), ("manifest.json", manifest)):
            entry = tarfile.TarInfo(path)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return made.getvalue()


@dataclass
class CriRuntime:
    """A containerd; `socket` is where its CRI is served."""

    socket: Path
    process: subprocess.Popen[bytes]
    _pods: list[str] = field(default_factory=list)

    def call(self, method: str, request: bytes) -> bytes:
        """One call of runtime.v1.RuntimeService."""
        import grpc

        with grpc.insecure_channel(f"unix://{self.socket}", options=[("grpc.enable_http_proxy", 0)]) as channel:
            answer: bytes = channel.unary_unary(f"/runtime.v1.RuntimeService/{method}")(request, timeout=40)
            return answer

    def start(self, name: str = "", image: str = PLAIN) -> str:
        """Runs a pod of one container that sleeps; the container's id."""
        name = name or f"pw-{secrets.token_hex(4)}"
        spaces = message((1, message((1, _NODE_NETWORK))))
        pod = message((1, message((1, name), (2, secrets.token_hex(8)), (3, "shop"))), (8, message((2, spaces))))
        pod_id = first_text(self.call("RunPodSandbox", message((1, pod))))
        self._pods.append(pod_id)
        container = message((1, message((1, "app"))), (2, message((1, image))), (3, "/bin/sleep"), (4, "1000"))
        container_id = first_text(self.call("CreateContainer", message((1, pod_id), (2, container), (3, pod))))
        self.call("StartContainer", message((1, container_id)))
        return container_id

    def exec_url(self, container_id: str, command: list[str], *, tty: bool, stderr: bool) -> str:
        """Where a command in a container is spoken to: each URL works once."""
        words = [(2, word) for word in command]
        return first_text(self.call("Exec", message((1, container_id), *words, (3, int(tty)), (4, 1), (5, 1), (6, int(stderr)))))

    def stop(self, container_id: str) -> None:
        """Kills a container."""
        self.call("StopContainer", message((1, container_id)))

    def clean(self) -> None:
        """Ends every pod."""
        for pod_id in self._pods:
            self.call("StopPodSandbox", message((1, pod_id)))
            self.call("RemovePodSandbox", message((1, pod_id)))
        self._pods.clear()


def _configuration(folder: Path, runc: str) -> str:
    return f"""version = 2
root = "{folder}/root"
state = "{folder}/state"
disabled_plugins = ["io.containerd.internal.v1.opt", "io.containerd.internal.v1.tracing", "io.containerd.tracing.processor.v1.otlp"]
[grpc]
  address = "{folder}/cri.sock"
[plugins."io.containerd.grpc.v1.cri"]
  disable_tcp_service = true
  stream_server_address = "127.0.0.1"
  stream_server_port = "0"
  sandbox_image = "{PLAIN}"
  restrict_oom_score_adj = true
  disable_apparmor = true
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "native"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        BinaryName = "{runc}"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{folder}/none"
    conf_dir = "{folder}/none"
"""


@pytest.fixture(scope="session")
def cri_runtime() -> Iterator[CriRuntime]:
    """A containerd of this session's own."""
    _require(("containerd", "containerd"), ("ctr", "containerd"), ("runc", "runc"), ("busybox", "busybox-static"))
    pytest.importorskip("grpc", reason="grpcio is not installed: pip install 'partywidgets[dev]'")
    folder = _short_folder()
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
    config, log = folder / "config.toml", folder / "containerd.log"
    config.write_text(_configuration(folder, shutil.which("runc", path=path) or "runc"))
    with log.open("wb") as into:
        process = subprocess.Popen(["containerd", "--config", config], stdout=into, stderr=into, env={**os.environ, "PATH": path})
    runtime = CriRuntime(folder / "cri.sock", process)
    try:
        _wait(process, runtime.socket, log)
        _answers(runtime, process, log)
        for name, layer in ((PLAIN, busybox_layer()), (WITH_BASH, busybox_layer(program_files("bash")))):
            importing = ["ctr", "-a", str(runtime.socket), "-n", "k8s.io", "images", "import", "--snapshotter", "native", "-"]
            done = subprocess.run(importing, input=image_archive(name, layer), capture_output=True, timeout=60, check=False)
            assert not done.returncode, done.stderr.decode()
        yield runtime
        runtime.clean()
    finally:
        _end(process)
        _end_rest(folder)
        shutil.rmtree(folder, ignore_errors=True)


def _answers(runtime: CriRuntime, process: subprocess.Popen[bytes], log: Path) -> None:
    import grpc

    deadline = time.monotonic() + 45
    while True:
        try:
            runtime.call("Version", b"")
            return
        except grpc.RpcError as error:
            if process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"containerd's CRI does not answer: {error}\n{log.read_text(errors='replace')[-3000:]}") from None
            time.sleep(0.1)
