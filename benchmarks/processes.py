# SPDX-License-Identifier: Apache-2.0
"""What a server and all processes below it use, as /proc tells; None where there is no /proc."""

import os
import re
from contextlib import suppress
from pathlib import Path


def cpu_seconds(pid: int) -> float | None:
    """User and system time of the tree, that of its children which have ended included."""
    folders = _family(pid)
    ticks = 0
    for folder in folders:
        fields = (folder / "stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        ticks += sum(int(field) for field in fields[11:15])
    return ticks / os.sysconf("SC_CLK_TCK") if folders else None


def memory_of(pid: int) -> float | None:
    """Resident megabytes of the tree; shared pages count once for each process."""
    return _megabytes(pid, "status", r"VmRSS:\s+([0-9]+) kB")


def fair_memory_of(pid: int) -> float | None:
    """Megabytes of the tree as PSS: a page that several processes share is divided among them."""
    return _megabytes(pid, "smaps_rollup", r"^Pss:\s+([0-9]+) kB")


def _megabytes(pid: int, file: str, pattern: str) -> float | None:
    sizes = [
        int(match[1])
        for folder in _family(pid)
        if (match := re.search(pattern, (folder / file).read_text("utf-8"), re.MULTILINE))
    ]
    return sum(sizes) / 1024 if sizes else None


def _family(pid: int) -> list[Path]:
    """The folders in /proc of a process and all below it."""
    parents: dict[int, int] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            fields = (folder / "stat").read_text(encoding="utf-8").rpartition(")")[2].split()
            parents[int(folder.name)] = int(fields[1])
    members = {pid} & parents.keys()
    while more := {child for child, parent in parents.items() if parent in members} - members:
        members |= more
    return [Path("/proc", str(member)) for member in members]
