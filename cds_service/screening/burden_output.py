# SPDX-License-Identifier: Apache-2.0
"""The file of changes: it is there once it is whole."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final

from cds_service.errors import RequestError

CHANGES: Final = "changes.ndjson"


@contextmanager
def changes_written(folder: Path | None, *, overwrite: bool) -> Iterator[BinaryIO | None]:
    """Where changes are written to; without a folder nowhere.

    Raises `RequestError` if there is such a file already, or the folder cannot be written to.
    """
    if folder is None:
        yield None
        return
    path, beside = folder / CHANGES, folder / f"{CHANGES}.new"
    if path.exists() and not overwrite:
        raise RequestError(
            f"There is a {CHANGES} in {folder.name} already: use --overwrite or another folder."
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        out = beside.open("wb")
    except OSError as error:
        raise RequestError(f"{folder.name} cannot be written to: {error.strerror}.") from None
    beside.chmod(0o600)  # reasons and times may tell who somebody is
    try:
        with out:
            yield out
    except BaseException:
        beside.unlink()
        raise
    beside.replace(path)
