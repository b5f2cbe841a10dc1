# SPDX-License-Identifier: Apache-2.0
"""`cds-service serve` ends soon, whenever it is asked to, and answers calls in progress first."""

import json
import os
import signal
import socket
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from time import sleep

import pytest

from tests.conformance.server import heard, status, waiting
from tests.web.http_fixtures import founding
from tests.web.served import Served, ready, serving, until

pytestmark = pytest.mark.server

SOON = 15  # seconds: half of the time after which a worker is killed
AGAIN = 0.3  # seconds between two signals, so that each of them is delivered

# The service, with a worker that begins slowly: the one of this number, at this place.
SLOW_TO_BEGIN = """
import os, sys, time
from pathlib import Path
from cds_service.cli import main, serve

place, number = os.environ["SLOW_PLACE"], int(os.environ["SLOW_WORKER"])
supervisor = int(os.environ.setdefault("SLOW_SUPERVISOR", str(os.getpid())))
begun = Path(os.environ["SLOW_FOLDER"])
create_app = serve.create_app


def begin(seconds):
    count = len(list(begun.iterdir())) + 1
    (begun / str(count)).touch()
    if count == number:
        time.sleep(seconds)


def slow_app(*given, **named):
    if os.getpid() != supervisor:
        begin(300)
    return create_app(*given, **named)


if place == "its application":
    serve.create_app = slow_app
elif __name__ == "__main__":
    os.register_at_fork(after_in_child=lambda: begin(1))
else:  # where a worker does not begin as a copy, it reads this file again
    begin(1)
if __name__ == "__main__":
    main()
"""


@pytest.mark.parametrize(
    ("place", "worker"), [("its process", 1), ("its process", 2), ("its application", 1)]
)
def test_a_worker_that_has_only_just_begun_ends_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str, worker: int
) -> None:
    program, begun = tmp_path / "slow.py", tmp_path / "begun"
    program.write_text(SLOW_TO_BEGIN)
    begun.mkdir()
    for name, value in {"PLACE": place, "WORKER": worker, "FOLDER": begun}.items():
        monkeypatch.setenv(f"SLOW_{name}", str(value))

    with serving(tmp_path, workers=1, program=[str(program)]) as served:
        if worker == 2:
            until(lambda: served.address and served.answers())
            os.kill(min(served.workers()), signal.SIGKILL)
        until((begun / str(worker)).exists)

        served.process.terminate()

        assert served.process.wait(SOON) == 0
        assert len(served.events("worker-ended")) == worker - 1  # the one that the test has killed


def _by_its_supervisor(served: Served) -> None:
    served.process.terminate()


def _by_ctrl_c_again_and_again(served: Served) -> None:
    for _ in range(3):
        os.killpg(served.process.pid, signal.SIGINT)
        sleep(AGAIN)


def _all_processes_at_once(served: Served) -> None:
    """As systemd does it."""
    os.killpg(served.process.pid, signal.SIGTERM)


@pytest.mark.parametrize(
    "asked", [_by_its_supervisor, _by_ctrl_c_again_and_again, _all_processes_at_once]
)
def test_a_call_in_progress_is_answered(tmp_path: Path, asked: Callable[[Served], None]) -> None:
    body = json.dumps(founding()).encode()
    with ready(tmp_path, workers=1) as served, waiting(served.port, len(body)) as call:
        call.sendall(body[:100])

        asked(served)
        until(lambda: not _takes_connections(served.port))
        call.sendall(body[100:])

        answer, _ = heard(call)
        assert status(answer) == 200
        assert served.process.wait(SOON) == 0


def _takes_connections(port: int) -> bool:
    with suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port)):
        return True
    return False
