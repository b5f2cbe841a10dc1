# SPDX-License-Identifier: Apache-2.0
"""Files that a command writes: a hindrance becomes one sentence."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cds_service.errors import CdsServiceError


@contextmanager
def writing_to(path: Path) -> Iterator[None]:
    """Raise a `CdsServiceError` if the file or folder cannot be written."""
    try:
        yield
    except OSError as error:
        raise CdsServiceError(f"{path} cannot be written: {error.strerror}.") from None
