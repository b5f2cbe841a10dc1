# SPDX-License-Identifier: Apache-2.0
"""Public FHIR servers that are offered to try: `servers.yaml`, read once."""

from functools import cache
from pathlib import Path

from cds_service.errors import KnowledgeError
from cds_service.knowledge.files import parse, read_text
from cds_service.knowledge.problems import Problem
from cds_service.knowledge.shapes import Shape, Text, read_shape

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
    text = read_text(FILE, FILE.name)
    if isinstance(text, Problem):
        raise KnowledgeError([text])
    document, problems = parse(text, FILE.name)
    shape, found = read_shape(PublicServers, document.data, document)
    if shape is None or problems or found:
        raise KnowledgeError([*problems, *found])
    return tuple(shape.servers)
