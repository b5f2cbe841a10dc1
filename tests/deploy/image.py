# SPDX-License-Identifier: Apache-2.0
"""The image as a site builds it, on bases made of Debian packages, and containers of it.

The bases have what the ones have that the Containerfile names: the first one Python with pip and a
shell, the second one Python without either. They are made once for a recipe and kept by buildah.
"""

import fcntl
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from time import monotonic, sleep
from typing import Any

from tests.house.source import ROOT

Json = dict[str, Any]

NAME = "localhost/cds-service-tests"
CONTAINERFILE = ROOT / "deploy" / "image" / "Containerfile"
SUITE = "trixie"
VERSION = "9.8.7"  # a made-up release
PACKAGES = {
    "build": "python3,python3-pip,dash,coreutils,ca-certificates",
    "run": "python3,libstdc++6,ca-certificates",
}
# Packages are only unpacked; what a script of base-files would do is done here.
_LINKS = 'for d in bin lib lib64 sbin; do mkdir -p "$1/usr/$d"; ln -s usr/$d "$1/$d"; done'
_CERTIFICATES = "/etc/ssl/certs"  # this machine's, to reach the registry of packages
_STATE = "/var/lib/cds-service"
_PATIENCE = 60  # seconds


def missing() -> str | None:
    """What keeps this machine from building images, or None."""
    if os.geteuid() != 0:
        return "images are built in chroot isolation, as root"
    programs = [name for name in ("buildah", "mmdebstrap", "runc") if shutil.which(name) is None]
    return f"install the packages {', '.join(programs)}" if programs else None


def run(*command: str | Path, given: str | None = None) -> str:
    """What a program prints; an `AssertionError` with what it said if it failed."""
    done = subprocess.run(command, input=given, capture_output=True, text=True, check=False)
    assert done.returncode == 0, (command, done.stdout[-2000:], done.stderr[-2000:])
    return done.stdout.strip()


@contextmanager
def built() -> Iterator[str]:
    """The id of the image; one process of tests builds it, the others wait and find its layers."""
    with Path(tempfile.gettempdir(), "cds-service-image.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        bases = _bases()
        yield run(
            "buildah", "build", "--quiet", "--isolation", "chroot", "--format", "docker",
            "--layers", "--volume", f"{_CERTIFICATES}:{_CERTIFICATES}:ro",
            "--build-arg", f"BUILD_BASE={bases['build']}", "--build-arg", f"BASE={bases['run']}",
            "--build-arg", f"VERSION={VERSION}",
            "--file", CONTAINERFILE, "--tag", NAME, ROOT,
        )  # fmt: skip


def _bases() -> dict[str, str]:
    """The names of both bases, which are made where they are not there."""
    names = {}
    with tempfile.TemporaryDirectory() as folder:
        making = {}
        for stage, packages in PACKAGES.items():
            recipe = sha256(f"{SUITE} {packages} {_LINKS}".encode()).hexdigest()[:12]
            names[stage] = f"{NAME}-{stage}:{recipe}"
            if not run("buildah", "images", "--quiet", "--filter", f"reference={names[stage]}"):
                making[stage] = subprocess.Popen(
                    [
                        "mmdebstrap", "--quiet", "--variant=extract", f"--setup-hook={_LINKS}",
                        f"--include={packages}", SUITE, f"{folder}/{stage}.tar",
                    ]
                )  # fmt: skip
        for stage, process in making.items():
            assert process.wait(300) == 0, f"mmdebstrap failed: {process.args!r}"
            container = run("buildah", "from", "scratch")
            run("buildah", "add", "--quiet", container, f"{folder}/{stage}.tar", "/")
            run("buildah", "commit", "--quiet", "--rm", container, names[stage])
    return names


@dataclass(frozen=True)
class Image:
    """An image, with its files where this machine sees them."""

    id: str
    config: Json
    root: Path


@contextmanager
def opened(image: str) -> Iterator[Image]:
    """The image with its files, which nobody writes to."""
    container = run("buildah", "from", image)
    try:
        root = Path(run("buildah", "mount", container))
        inspected = json.loads(run("buildah", "inspect", "--type", "image", image))
        yield Image(image, inspected["Docker"]["config"], root)
    finally:
        run("buildah", "rm", container)


@dataclass(frozen=True)
class Container:
    """A running container, in namespaces of its own: nobody but this machine's root reaches it."""

    name: str
    process: "subprocess.Popen[str]"

    def do(self, *command: str, given: str | None = None) -> "subprocess.CompletedProcess[str]":
        """A command in the container, as its user."""
        return subprocess.run(
            ["runc", "exec", self.name, *command],
            input=given, capture_output=True, text=True, timeout=_PATIENCE, check=False,
        )  # fmt: skip

    def wait_until(self, *command: str) -> None:
        """Wait until a command in the container succeeds."""
        end = monotonic() + _PATIENCE
        while monotonic() < end and self.process.poll() is None:
            if self.do(*command).returncode == 0:
                return
            sleep(0.2)
        raise AssertionError(f"{self.name} is not there: {self.process.poll()}")

    def end(self) -> int:
        """The exit code after SIGTERM."""
        subprocess.run(["runc", "kill", self.name, "TERM"], check=True)
        return self.process.wait(_PATIENCE)


@contextmanager
def container(
    image: Image,
    folder: Path,
    *command: str,
    mounts: Mapping[Path, str],
    host_network: bool = False,
    **settings: str,
) -> Iterator[Container]:
    """A container that may do as little as possible: a read-only root, no capability.

    The folder is for its bundle and its state; what it prints is in the file `log` there. It has a
    network of its own, which nothing else is in, or that of this machine.
    """
    state = folder / "state"
    state.mkdir(exist_ok=True)
    os.chown(state, 65532, 65532)
    bundle = folder / "bundle"
    bundle.mkdir()
    specification = _specification(image, command or tuple(image.config["Cmd"]), settings)
    if host_network:
        specification["linux"]["namespaces"].remove({"type": "network"})
    specification["mounts"] += [
        _mounted(source, place, "ro") for source, place in mounts.items()
    ] + [_mounted(state, _STATE, "rw")]
    (bundle / "config.json").write_text(json.dumps(specification), encoding="utf-8")
    name = f"cds-{sha256(str(folder).encode()).hexdigest()[:12]}"
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            ["runc", "run", "--bundle", bundle, name],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, text=True,
        )  # fmt: skip
    try:
        yield Container(name, process)
    finally:
        subprocess.run(["runc", "delete", "--force", name], check=False, capture_output=True)
        process.wait(_PATIENCE)


def _specification(image: Image, command: Sequence[str], settings: Mapping[str, str]) -> Json:
    """The OCI runtime's configuration for what the image says (runtime-spec, config.md)."""
    user, group = image.config["User"].split(":")
    ours = [f"CDS_{name.upper()}={value}" for name, value in settings.items()]
    namespaces = ("pid", "network", "ipc", "uts", "mount")
    return {
        "ociVersion": "1.0.2",
        "root": {"path": str(image.root), "readonly": True},
        "process": {
            "user": {"uid": int(user), "gid": int(group)},
            "args": [*image.config["Entrypoint"], *command],
            "env": [*image.config["Env"], *ours],
            "cwd": image.config["WorkingDir"],
            "capabilities": {},
            "noNewPrivileges": True,
        },
        "mounts": [
            {"destination": "/proc", "type": "proc", "source": "proc"},
            {
                "destination": "/dev", "type": "tmpfs", "source": "tmpfs",
                "options": ["nosuid", "mode=755", "size=65536k"],
            },
            _memory("/dev/shm"),  # noqa: S108 - places in the container, not on this machine
            _memory("/tmp"),  # noqa: S108
        ],
        "linux": {"namespaces": [{"type": kind} for kind in namespaces]},
    }  # fmt: skip


def _memory(place: str) -> Json:
    options = ["nosuid", "noexec", "nodev", "mode=1777"]
    return {"destination": place, "type": "tmpfs", "source": "tmpfs", "options": options}


def _mounted(source: Path, place: str, how: str) -> Json:
    return {"destination": place, "type": "bind", "source": str(source), "options": ["bind", how]}
