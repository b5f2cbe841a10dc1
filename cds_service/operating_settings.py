# SPDX-License-Identifier: Apache-2.0
"""The settings of how a process is watched and whom it trusts; a part of `settings.py`."""

import ssl
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field, FilePath, StringConstraints
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
    """Settings for the operators of a process."""

    authorities: Annotated[FilePath, AfterValidator(of_authorities)] | None = Field(
        None,
        description="The certificates (PEM) of authorities that are trusted besides those of this "
        "machine: of FHIR servers, of clients' keys, and of the service itself where a command "
        "calls it.",
    )
    status_host: Annotated[str, StringConstraints(min_length=1)] = Field(
        "127.0.0.1",
        description="The address for CDS_STATUS_PORT; no token is asked for there.",
    )
    status_port: Annotated[int, Field(ge=1, le=65535)] | None = Field(
        None,
        description="The port for `/health`, `/ready` and `/metrics` of `worker` and of "
        "`listen mllp`. Unset: none is served.",
    )
