# SPDX-License-Identifier: Apache-2.0
"""The folder of an export: files that are whole, and what a killed run needs to go on.

`.export/state.json` says which export it is, where the server keeps its state and whether all of
it is here; `.export/files.ndjson` has a line for each file that is whole. Only the owner can read
them: the URL of an export can be all that is needed to fetch it.
"""

import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Final

from msgspec import DecodeError, Struct, field
from msgspec.json import Decoder, Encoder

from cds_service.bulk_export.download import PART
from cds_service.copying import replace
from cds_service.counting import counted
from cds_service.errors import CdsServiceError, RequestError

OWN: Final = ".export"
"""The folder in an export that holds no data."""

_STATE: Final = "state.json"
_FILES: Final = "files.ndjson"
_NAME: Final = re.compile(rf"[A-Z][A-Za-z]+\.\d{{6}}\.ndjson({re.escape(PART)})?")
_ENCODER = Encoder()


class ExportPlan(Struct, frozen=True):
    """What is exported: from which server, of which group or of everybody, which types."""

    server: str
    group: str | None
    kinds: tuple[str, ...]


class ExportedFile(Struct, frozen=True):
    """A file that is whole; `key` tells it from the others of a manifest."""

    key: str
    name: str
    kind: str
    lines: int
    size: int
    expected: int | None = None  # lines, by the manifest

    @property
    def is_short(self) -> bool:
        """Whether it has another number of lines than the server says."""
        return self.expected is not None and self.lines != self.expected


class ExportSummary(Struct, frozen=True, kw_only=True):
    """What an export has brought, and what it lacks; `errors` counts issues by their codes."""

    transaction_time: str
    files: int
    size: int
    resources: dict[str, int]
    errors: dict[str, int]
    warnings: int = 0
    deleted: int = 0
    not_exported: dict[str, str] = field(default_factory=dict)  # types, and why
    not_fetched: dict[str, int] = field(default_factory=dict)  # files of types not asked for
    short: list[str] = field(default_factory=list)

    def losses(self) -> list[str]:
        """What is missing in the export, a sentence each; none where it is whole."""
        found = []
        if self.errors:
            codes = ", ".join(
                f"{code} ({number:,})" for code, number in sorted(self.errors.items())
            )
            errors = counted(sum(self.errors.values()), "error")
            found.append(f"the export is incomplete: the server reports {errors}: {codes}")
        found.extend(f"the export is incomplete: {sentence}" for sentence in self.short)
        return found


class ExportState(Struct, frozen=True, kw_only=True):
    """Where an export stands; with a `summary` all of it is here."""

    plan: ExportPlan
    status_url: str | None = None
    transaction_time: str | None = None
    not_exported: dict[str, str] = field(default_factory=dict)
    summary: ExportSummary | None = None


_STATES: Decoder[ExportState] = Decoder(ExportState)
_LINES: Decoder[ExportedFile] = Decoder(ExportedFile)


class ExportFolder:
    """A folder that one run writes to; `outdated_url` is that of an export that is given up."""

    outdated_url: str | None = None

    def __init__(self, folder: Path, state: ExportState) -> None:
        self.path = folder
        self.state = state
        self.files = {file.key: file for file in _files_in(folder)}

    def keep(self, state: ExportState) -> None:
        """Write where the export stands."""
        place = self.path / OWN / _STATE
        beside = place.with_name(f"{_STATE}.new")
        _write(beside, _ENCODER.encode(state))
        beside.replace(place)
        self.state = state

    def begin(self, state: ExportState) -> None:
        """Begin an export: no file of an earlier one stays."""
        self.keep(state)
        self.clear()

    def clear(self) -> None:
        """Remove every file of the export."""
        (self.path / OWN / _FILES).unlink(missing_ok=True)
        self.files.clear()
        for path in self._own():
            path.unlink()

    def next_path(self, kind: str) -> Path:
        """Where the next file of a type goes: the first number that no whole file has."""
        taken = {file.name for file in self.files.values()}
        names = (f"{kind}.{number:06}.ndjson" for number in count(1))
        return self.path / next(name for name in names if name not in taken)

    def add(self, file: ExportedFile) -> None:
        """Note that a file is there as a whole."""
        opened = os.open(self.path / OWN / _FILES, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        with os.fdopen(opened, "wb") as lines:
            lines.write(b"\n" + _ENCODER.encode(file))  # the line before may be cut off
            lines.flush()
            os.fsync(lines.fileno())
        self.files[file.key] = file

    def finish(self, summary: ExportSummary) -> None:
        """Note that all files are there; what is none of them, such as a part, is removed."""
        names = {file.name for file in self.files.values()}
        for path in self._own():
            if path.name not in names:
                path.unlink()
        self.keep(replace(self.state, summary=summary))

    def _own(self) -> Iterator[Path]:
        return (path for path in list(self.path.iterdir()) if _NAME.fullmatch(path.name))


@contextmanager
def open_folder(folder: Path, plan: ExportPlan, *, overwrite: bool) -> Iterator[ExportFolder]:
    """The folder for an export, and for no other run until the block ends.

    Raises `RequestError` if it holds another export or other files, or another run writes to it.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _alone(folder):
            before = _state_in(folder)
            found = ExportFolder(folder, _state_for(folder, plan, before, overwrite=overwrite))
            if overwrite and before is not None and before.plan.server == plan.server:
                found.outdated_url = before.status_url
            yield found
    except OSError as error:
        raise CdsServiceError(f"{folder} cannot be written: {error.strerror}.") from None


def losses_in(folders: Iterable[Path]) -> list[str]:
    """What the exports in these folders lack; raises `RequestError` for one that is not finished.

    A folder that is no export lacks nothing.
    """
    losses: list[str] = []
    for folder in folders:
        if not (folder / OWN).is_dir():
            continue
        state = _state_in(folder)
        if state is None or state.summary is None:
            raise RequestError(
                f"The export in {folder} is not finished: give its command again, and it goes on."
            )
        losses.extend(state.summary.losses())
    return losses


def _state_for(
    folder: Path, plan: ExportPlan, state: ExportState | None, *, overwrite: bool
) -> ExportState:
    """The state of the export in the folder, or of a new one."""
    own = folder / OWN
    is_new = state is None and not own.exists()
    if is_new and any(not path.name.startswith(".") for path in folder.iterdir()):
        raise RequestError(f"{folder} holds other files: name a new folder.")
    if state is None or overwrite:
        own.mkdir(mode=0o700, exist_ok=True)
        return ExportState(plan=plan)
    if state.plan != plan:
        raise RequestError(
            f"{folder} holds an export of another server, group or other types: use --overwrite or"
            " another folder."
        )
    return state


def _state_in(folder: Path) -> ExportState | None:
    try:
        return _STATES.decode((folder / OWN / _STATE).read_bytes())
    except (FileNotFoundError, DecodeError):
        return None


def _files_in(folder: Path) -> Iterator[ExportedFile]:
    """The files that are noted as whole; a note that is cut off is none."""
    try:
        lines = (folder / OWN / _FILES).read_bytes().splitlines()
    except FileNotFoundError:
        return
    for line in lines:
        with suppress(DecodeError):
            file = _LINES.decode(line)
            if (folder / file.name).is_file():
                yield file


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """No other run writes to the folder meanwhile; the lock ends with the process."""
    from fcntl import LOCK_EX, LOCK_NB, flock  # not on every system, and only here

    opened = os.open(folder, os.O_RDONLY)
    try:
        try:
            flock(opened, LOCK_EX | LOCK_NB)
        except BlockingIOError:
            raise RequestError(f"Another run exports to {folder} at this moment.") from None
        yield
    finally:
        os.close(opened)


def _write(path: Path, data: bytes) -> None:
    opened = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(opened, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
