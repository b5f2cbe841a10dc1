# SPDX-License-Identifier: Apache-2.0
"""Laboratory clinical decision support over CDS Hooks and FHIR."""

from importlib import metadata

try:
    # Of the tag that the build came from: docs/decisions/0021.
    __version__ = metadata.version("cds-service")
except metadata.PackageNotFoundError:  # sources on the path, never built
    __version__ = "0+unversioned"
