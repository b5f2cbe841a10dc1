# SPDX-License-Identifier: Apache-2.0
"""A report is read in a process of its own, which ends within bounds of time and memory."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from shutil import which
from typing import Final, Literal, TypeAlias

from msgspec import DecodeError, Struct
from msgspec.json import Decoder, encode

from cds_service.copying import replace
from cds_service.errors import PayloadTooLarge, RequestError
from cds_service.reports.report import LabReport

SECONDS: Final = 8
MEMORY: Final = 1_000_000_000  # bytes of addresses
_TOO_LARGE: Final = f"Expected a file that is read within {SECONDS} seconds and 1 GB of memory."


class ReaderOptions(Struct, frozen=True, kw_only=True):
    """What is wanted of a file: pictures of its pages; `columns` are the roles of a table's.

    With `proposes` a table whose headings are not known is not refused: a report without patients
    says what its columns may be.
    `seconds` are those after which the process that reads it is ended.
    """

    pictures: bool = False
    proposes: bool = False
    columns: dict[str, str] | list[str] | None = None
    seconds: float = SECONDS


class PagePicture(Struct, frozen=True, kw_only=True):
    """A page as a picture; width and height are those of the page in points."""

    page: int
    width: float
    height: float
    jpeg: bytes


class ReaderAnswer(Struct, kw_only=True):
    """What the process found: a report, with pictures if they were wanted, or why it refused."""

    report: LabReport | None = None
    pictures: tuple[PagePicture, ...] = ()
    refused: str = ""
    kind: Literal["request", "too large"] = "request"


ReadFile: TypeAlias = tuple[LabReport, tuple[PagePicture, ...]]
_ANSWER: Final = Decoder(ReaderAnswer)
_OPTIONS: Final = Decoder(ReaderOptions)
_Reader: TypeAlias = Callable[[bytes, ReaderOptions], ReadFile]


def read_bounded(module: str, data: bytes, options: ReaderOptions) -> ReadFile:
    """What a module, run by itself with options and file at its input, reads.

    Its refusals are raised; `PayloadTooLarge` is also what does not end within the bounds.
    """
    try:
        ended = subprocess.run(  # noqa: S603 - a module of ours, by the interpreter that runs
            [sys.executable, "-P", "-m", module],
            input=encode(replace(options, seconds=SECONDS)) + b"\n" + data,
            capture_output=True,
            timeout=SECONDS,
            check=False,
            env=_environment(),
        )
        answer = _ANSWER.decode(ended.stdout)
    except (subprocess.TimeoutExpired, DecodeError):
        raise PayloadTooLarge(_TOO_LARGE) from None
    if answer.report is not None:
        return answer.report, answer.pictures
    raise (PayloadTooLarge if answer.kind == "too large" else RequestError)(answer.refused)


def _environment() -> dict[str, str]:
    """What the process is given: where modules and Tesseract are, and none of our secrets."""
    tesseract = which("tesseract")
    return {
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        "PATH": str(Path(tesseract).parent) if tesseract else os.defpath,
    }


def bind() -> None:
    """Limit this process, where the system can."""
    try:
        import resource
    except ImportError:  # Windows has no limits of this kind; the time is bounded all the same
        return
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS + 1))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def answer_of(read: _Reader, sent: bytes) -> bytes:
    """What `read_bounded` expects on standard output for what it wrote to standard input."""
    options, _, data = sent.partition(b"\n")
    try:
        report, pictures = read(data, _OPTIONS.decode(options))
        return encode(ReaderAnswer(report=report, pictures=pictures))
    except PayloadTooLarge as error:
        return encode(ReaderAnswer(refused=str(error), kind="too large"))
    except RequestError as error:
        return encode(ReaderAnswer(refused=str(error)))
    except (MemoryError, RecursionError):
        return encode(ReaderAnswer(refused=_TOO_LARGE, kind="too large"))
