# SPDX-License-Identifier: Apache-2.0
"""Run by the Python of .venv-fhir: sekmet is imported once, and each server is a fork of that.

A line of standard input is the folder of a server, which holds its `settings.yaml` and gets its
`log`; the line that answers is its process id. At the end of the input all of them end.
"""

import os
import signal
import sys
from importlib import import_module

from sekmet.cli import app  # type: ignore[import-not-found]

# What a start would import.
for _name in (
    "sekmet.main", "sekmet.auth.server", "sekmet.bulk.server", "sekmet.fhir.router",
    "sekmet.subscriptions.engine", "sekmet.ui.routes", "uvicorn.loops.auto",
    "uvicorn.protocols.http.auto", "uvicorn.protocols.websockets.auto", "uvicorn.lifespan.on",
):  # fmt: skip
    import_module(_name)


def _serve(folder: str) -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.chdir(folder)
    nothing, log = os.open(os.devnull, os.O_RDONLY), os.open("log", os.O_WRONLY | os.O_CREAT)
    for mine, given in ((nothing, 0), (log, 1), (log, 2)):
        os.dup2(mine, given)
    app(["serve", "-c", "settings.yaml"])


def main() -> None:
    """Start servers until the end of the input."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # who has ended is gone: nobody waits for it
    for line in sys.stdin:
        process = os.fork()
        if not process:
            _serve(line.rstrip("\n"))
            os._exit(1)
        print(process, flush=True)
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    main()
