# SPDX-License-Identifier: Apache-2.0
"""The programs that a demonstration starts, and the folder of their files: all of it ends with it.

with Stage() as stage:
    program = stage.start("the server", command, environment, "http://127.0.0.1:8000/ready")
"""

import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp
from time import sleep
from types import FrameType, TracebackType
from typing import Final, Self

import requests

from cds_service.cli.printable import printable
from cds_service.clock import stopwatch

_PATIENCE: Final = 30.0  # seconds for a program to answer
_AT_THE_END: Final = 15  # seconds for it to end by itself
_LOOK: Final = 0.05
_LINES: Final = 8  # of its log, if it fails
_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class DemoFailed(RuntimeError):
    """A step of the demonstration did not work; `code` is that to leave with."""

    def __init__(self, message: str, code: int = 3) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class DemoProgram:
    """A running program, and the file with its output."""

    name: str
    process: "subprocess.Popen[bytes]"
    log: Path

    def check(self) -> None:
        """Raise `DemoFailed` if it has ended."""
        if self.process.poll() is not None:
            raise DemoFailed(f"{self.name} has ended{self.last_lines()}")

    def last_lines(self) -> str:
        """The last lines of its log, to be put behind a message."""
        return "".join(f"\n  {printable(line)}" for line in self.lines()[-_LINES:])

    def lines(self) -> list[str]:
        """Everything that it has printed."""
        return self.log.read_text(encoding="utf-8", errors="replace").splitlines()


class Stage:
    """A folder, and programs that run until the block ends, whatever ends it.

    Ctrl-C, SIGTERM and a closed terminal end the block. Each program leads a session of its own, so
    that none of these reaches it before the others have ended that need it.
    """

    def __init__(self) -> None:
        self.programs: list[DemoProgram] = []
        self._holds = True  # a signal waits until nothing would be left over
        self._signalled: int | None = None

    def __enter__(self) -> Self:
        self._before = {number: signal.signal(number, self._signal) for number in _SIGNALS}
        self.folder = Path(mkdtemp(prefix="cds-demo-"))
        self._release()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._holds = True
        for program in reversed(self.programs):
            _end(program.process)
        shutil.rmtree(self.folder, ignore_errors=True)
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def start(
        self,
        name: str,
        command: Sequence[str | Path],
        environment: Mapping[str, str],
        address: str,
    ) -> DemoProgram:
        """A program, once it answers at this address; raises `DemoFailed` if it never does."""
        program = self._launched(name, command, environment)
        self.wait_until(f"{name} does not answer", lambda: answers(address))
        return program

    def run(
        self, name: str, command: Sequence[str | Path], environment: Mapping[str, str]
    ) -> tuple[int, list[str]]:
        """The exit code of a program that ends by itself, and the lines that it printed."""
        program = self._launched(name, command, environment)
        waited = stopwatch()
        while program.process.poll() is None:
            if waited() > _PATIENCE * 1000:
                raise DemoFailed(f"{name} does not end{program.last_lines()}")
            sleep(_LOOK)
        self.programs.remove(program)
        return program.process.returncode, program.lines()

    def _launched(
        self, name: str, command: Sequence[str | Path], environment: Mapping[str, str]
    ) -> DemoProgram:
        log = self.folder / f"{name.replace(' ', '-')}.log"
        self._holds = True
        with log.open("wb") as output:
            process = subprocess.Popen(  # noqa: S603 - our own program, or one of a lock file
                [*map(str, command)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=dict(environment),
                cwd=self.folder,
                start_new_session=True,
            )
        program = DemoProgram(name, process, log)
        self.programs.append(program)
        self._release()
        return program

    def wait_until(self, problem: str, is_so: Callable[[], bool]) -> float:
        """How many seconds it took until this was so; raises `DemoFailed` with the problem."""
        waited = stopwatch()
        while not is_so():
            for program in self.programs:
                program.check()
            if waited() > _PATIENCE * 1000:
                logs = "".join(
                    f"\n{program.name}:{program.last_lines()}" for program in self.programs
                )
                raise DemoFailed(f"{problem}, after {_PATIENCE:.0f} seconds{logs}")
            sleep(_LOOK)
        return waited() / 1000

    def wait(self) -> None:
        """Return never: raises `DemoFailed` when a program has ended."""
        while True:
            for program in self.programs:
                program.check()
            sleep(1)

    def _release(self) -> None:
        self._holds = False
        if self._signalled is not None:
            self._signal(self._signalled, None)

    def _signal(self, number: int, _frame: FrameType | None) -> None:
        self._signalled = number
        if self._holds:
            return
        self._holds = True
        if number == signal.SIGINT:
            raise KeyboardInterrupt
        raise SystemExit(128 + number)


def answers(address: str) -> bool:
    """Whether something answers there."""
    with suppress(requests.RequestException):
        return requests.get(address, timeout=5).ok
    return False


def free_port(wanted: int = 0) -> int:
    """This port of loopback if nobody listens on it, else another."""
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", wanted))
        except OSError:
            probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _end(process: "subprocess.Popen[bytes]") -> None:
    """End a program and everything that it has started."""
    process.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(_AT_THE_END)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
