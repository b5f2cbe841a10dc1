# SPDX-License-Identifier: Apache-2.0
"""Public FHIR servers that are offered to try: `servers.yaml`, read once."""

from functools import cache
from pathlib import Path

from cds_service.errors import KnowledgeError
from cds_service.knowledge.reading.schemas import (
    Shape,
    Text,
)
from cds_service.sourcefile.schema import read_shape_file

FILE = Path(__file__).with_name("servers.yaml")


class PublicServer(Shape):
    """One server that everyone may ask."""

    base: Text
    title: Text


class PublicServers(Shape):
    """The whole file."""

    servers: list[PublicServer]


@cache
def public_servers() -> tuple[PublicServer, ...]:
    """Every server of the file; raises `KnowledgeError` with what is wrong in it."""
    read, problems = read_shape_file(FILE, PublicServers)
    if read is None or problems:
        raise KnowledgeError(problems)
    return tuple(read[0].servers)
