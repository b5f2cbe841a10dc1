# SPDX-License-Identifier: Apache-2.0
"""Which files of a source are read, and how."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from cds_service.bulk_export.folder import OWN, losses_in
from cds_service.errors import RequestError

Form = Literal["lines", "document", "table"]

_FORMS: Final[dict[str, Form]] = {
    ".ndjson": "lines",
    ".jsonl": "lines",
    ".json": "document",
    ".parquet": "table",
}
_GZIP: Final = ".gz"


@dataclass(frozen=True, slots=True)
class SourceFiles:
    """The files of a source: NDJSON, JSON documents, Parquet, and those that are not read.

    `losses` are sentences on what an export from a server lacks, by that server.
    """

    lines: tuple[Path, ...]
    documents: tuple[Path, ...]
    tables: tuple[Path, ...]
    passed_over: tuple[Path, ...]
    losses: tuple[str, ...] = ()

    @property
    def read(self) -> tuple[Path, ...]:
        """Every file that is read."""
        return (*self.lines, *self.documents, *self.tables)

    @property
    def size(self) -> int:
        """The bytes of all files that are read."""
        return sum(path.stat().st_size for path in self.read)

    def states(self) -> tuple[str, ...]:
        """What tells each file that is read from itself after a change."""
        return tuple(map(_state, self.read))

    @contextmanager
    def held_unchanged(self) -> Iterator[None]:
        """Raise `RequestError` after the block if a file was changed meanwhile.

        Files are read twice: of one that changed in between, people would be lost or found whom
        nobody has chosen.
        """
        before = self.states()
        yield
        for path, was in zip(self.read, before, strict=True):
            if _state(path) != was:
                raise RequestError(
                    f"{path.name} was changed while it was read, so nothing that was counted can "
                    "be relied on. Run it again when nobody writes the file."
                )


def find_files(sources: Iterable[Path]) -> SourceFiles:
    """The files of these files and folders, with the folders in them, in order.

    A file counts by its name, with or without `.gz`. Raises `RequestError` if none is read, or an
    export from a server is not finished.
    """
    sources = tuple(sources)
    found = sorted({path for source in sources for path in _within(source)})
    of_form: dict[Form | None, list[Path]] = {"lines": [], "document": [], "table": [], None: []}
    for path in found:
        of_form[_form(path)].append(path)
    exports = {own.parent for source in sources for own in source.rglob(OWN)}
    losses = losses_in(sorted(exports.union(path.parent for path in found)))
    lines, documents, tables, others = (tuple(paths) for paths in of_form.values())
    files = SourceFiles(lines, documents, tables, others, tuple(losses))
    if not files.read:
        raise RequestError(
            "There is no file to read: expected .ndjson or .json, also as .gz, or .parquet."
        )
    return files


def _state(path: Path) -> str:
    try:
        state = path.stat()
    except FileNotFoundError:
        return "removed"
    return f"{path.resolve()} {state.st_size} {state.st_mtime_ns}"


def _within(source: Path) -> Iterable[Path]:
    if not source.is_dir():
        return (source,)
    return (path for path in source.rglob("*") if path.is_file() and path.parent.name != OWN)


def _form(path: Path) -> Form | None:
    name = path.name.lower().removesuffix(_GZIP)
    return next((form for ending, form in _FORMS.items() if name.endswith(ending)), None)
