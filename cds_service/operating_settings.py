# SPDX-License-Identifier: Apache-2.0
"""The settings of whom a process trusts; a part of `settings.py`."""

import ssl
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field, FilePath
from pydantic_settings import BaseSettings


def of_authorities(file: Path) -> Path:
    """The file, if it holds certificates (PEM) and nothing private; raises `ValueError`."""
    try:
        ssl.create_default_context(cafile=file)
        is_private = b"PRIVATE KEY" in file.read_bytes()
    except OSError:  # of which ssl.SSLError is one
        raise ValueError("expected a file with certificates (PEM)") from None
    if is_private:
        raise ValueError("expected certificates alone; the file holds a private key")
    return file


class OperatingSettings(BaseSettings):
    """What is set about a process for those who run it."""

    authorities: Annotated[FilePath, AfterValidator(of_authorities)] | None = Field(
        None,
        description="The certificates (PEM) of authorities that are trusted besides those of this "
        "machine: of FHIR servers, of clients' keys, and of the service itself where a command "
        "calls it.",
    )
