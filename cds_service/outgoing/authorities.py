# SPDX-License-Identifier: Apache-2.0
"""Whose signature under the certificate of a server this process accepts.

Those whom this machine trusts, those of `certifi`, and those of files that a site names. It holds
for the whole process, as the store of the machine does: no server may be called that trusts others.
"""

import re
import ssl
from pathlib import Path
from typing import Final

_PEM: Final = re.compile(rb"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)
_named: Final[list[str]] = []


def trust_also(*files: Path | None) -> None:
    """From now on trust the authorities of these files (PEM) too, and of no file named before.

    They are read now: what becomes of the files later changes nothing. Raises `OSError`.
    """
    found = [
        certificate for file in files if file for certificate in _PEM.findall(file.read_bytes())
    ]
    _named[:] = [certificate.decode("ascii", "replace") for certificate in found]


def client_context() -> ssl.SSLContext:
    """What checks the certificate of a server."""
    context = ssl.create_default_context()
    context.hostname_checks_common_name = False  # RFC 9525, section 2: a subject is no name
    if _named:
        context.load_verify_locations(cadata="\n".join(_named))
    return context
