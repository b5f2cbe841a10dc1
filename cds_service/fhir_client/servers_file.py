# SPDX-License-Identifier: Apache-2.0
"""The file of FHIR servers -> `Servers`, or everything that is wrong with it.

YAML as strict as the knowledge files; `docs/how-to/connect-a-fhir-server.md` shows one.
"""

import re
from pathlib import Path
from typing import Annotated, Final

from pydantic import Field

from cds_service.fhir.references import base_url, is_base_url, is_id
from cds_service.fhir_client.message_shape import (
    MessageShape,
    message_settings,
    problems_of_senders,
)
from cds_service.fhir_client.servers import (
    AdviceResource,
    FhirVersion,
    PayloadContent,
    Server,
    Servers,
    SigningAlgorithm,
    SubscriptionSettings,
    WriteBack,
)
from cds_service.knowledge.reading.schemas import (
    Shape,
    Text,
    WholeNumber,
    YesNo,
)
from cds_service.outgoing.address_policy import AddressPolicy, url_problem
from cds_service.sourcefile.diagnostics import Problem
from cds_service.sourcefile.document import Document, Where
from cds_service.sourcefile.schema import read_shape_file, settings_value

# Codes of this file, after those of the file of clients (R1..).
CODES = {
    "R201": "two servers have the same base",
    "R202": "a base URL cannot be used",
    "R203": "settings for a token of the service stand without a client id",
    "R204": "two servers have the same name",
    "R205": "a name has other characters than letters, digits and hyphens",
    "R206": "the owner is no reference to an organization or to a person who works in care",
    "R207": "the settling time is longer than ten minutes",
    "R208": "the topic is no canonical URL",
    "R209": "the address of a sender of messages is none",
    "R210": "a sender of messages stands in the file twice",
    "R211": "the certificate of a sender of messages is none",
}
_OF_CLIENT_ID = ("algorithm", "scopes", "own_access_for_hooks")
_NAME: Final = re.compile(r"[A-Za-z0-9]+(-[A-Za-z0-9]+)*")
# FHIR R4, "Task": the types that `owner` may name and that can act on a proposal.
_OWNERS: Final = frozenset(
    ("CareTeam", "HealthcareService", "Organization", "Practitioner", "PractitionerRole")
)
_LONGEST_SETTLING: Final = 600  # seconds
_CANONICAL: Final = re.compile(r"(https?://|urn:)[^\s|#]+(\|\S+)?")


class SubscriptionShape(Shape):
    """How results that arrive are heard of, and what becomes of the advice."""

    content: PayloadContent = "id-only"
    payload: YesNo = "yes"
    topic: Text | None = None
    numbered: YesNo = "yes"
    write_back: WriteBack = "silent"
    owner: Text | None = None
    settling_seconds: WholeNumber = "1"
    advice_as: AdviceResource = "Task"
    fhir_version: FhirVersion = "R4"


class ServerShape(Shape):
    """One server."""

    base: Text
    private_network: YesNo = "no"
    this_machine: YesNo = "no"
    anonymous: YesNo = "no"
    client_id: Text | None = None
    algorithm: SigningAlgorithm = "ES384"
    scopes: Text = ""
    own_access_for_hooks: YesNo = "no"
    name: Text | None = None
    subscriptions: SubscriptionShape = SubscriptionShape()
    hl7_v2: MessageShape | None = None


class ServersShape(Shape):
    """The whole file."""

    servers: Annotated[list[ServerShape], Field(min_length=1)]


def load_servers(path: Path | None, *, development: bool) -> Servers:
    """The servers of the file, none without one; raises `SettingsError` with every problem."""
    if path is None:
        return Servers(development=development)
    return settings_value("CDS_FHIR_SERVERS", *read_servers(path, development=development))


def read_servers(path: Path, *, development: bool) -> tuple[Servers | None, list[Problem]]:
    """The servers of the file, or `None` with every problem in it."""
    read, problems = read_shape_file(path, ServersShape)
    if read is None:
        return None, problems
    shape, document = read
    listed: dict[str, Server] = {}
    for n, entry in enumerate(shape.servers):
        server = _server(entry, development=development)
        problems += _problems(entry, server, document, ("servers", n), listed)
        listed[server.base] = server
    return (None if problems else Servers(listed=listed, development=development)), problems


def _server(shape: ServerShape, *, development: bool) -> Server:
    here = shape.this_machine == "yes" or development
    return Server(
        base=base_url(shape.base),
        policy=AddressPolicy(
            private=shape.private_network == "yes", loopback=here, http=development
        ),
        anonymous=shape.anonymous == "yes",
        client_id=shape.client_id,
        algorithm=shape.algorithm,
        scopes=tuple(shape.scopes.split()),
        own_access_for_hooks=shape.own_access_for_hooks == "yes",
        name=shape.name,
        subscriptions=_subscriptions(shape.subscriptions),
        messages=None if shape.hl7_v2 is None else message_settings(shape.hl7_v2),
    )


def _subscriptions(shape: SubscriptionShape) -> SubscriptionSettings:
    return SubscriptionSettings(
        content=shape.content,
        payload=shape.payload == "yes",
        topic=shape.topic,
        numbered=shape.numbered == "yes",
        write_back=shape.write_back,
        owner=shape.owner,
        settling_seconds=int(shape.settling_seconds),
        advice_as=shape.advice_as,
        fhir_version=shape.fhir_version,
    )


def _problems(
    shape: ServerShape, server: Server, document: Document, at: Where, before: dict[str, Server]
) -> list[Problem]:
    problems: list[Problem] = []

    def problem(code: str, name: str, message: str, remedy: str = "") -> None:
        problems.append(Problem(code, document.mark((*at, name)), message, remedy))

    if not is_base_url(shape.base):
        problem("R202", "base", "this is no base URL of a FHIR server", "write https://host/path")
    elif problem_of_url := url_problem(server.base, server.policy):
        remedy = "allow it with 'private network: yes' or 'this machine: yes', or write https"
        problem("R202", "base", f"this server cannot be called: {problem_of_url}", remedy)
    if server.base in before:
        problem("R201", "base", "this server stands in the file already")
    if shape.client_id is None:
        for name in _OF_CLIENT_ID:
            if name in shape.model_fields_set:
                word = name.replace("_", " ")
                problem(
                    "R203",
                    word,
                    f"'{word}' is for a server where the service is registered",
                    "write the 'client id' that the server gave the service",
                )
    return [
        *problems,
        *_problems_of_name(shape.name, document, at, before),
        *_problems_of_subscriptions(shape.subscriptions, document, (*at, "subscriptions")),
        *problems_of_senders(shape.hl7_v2, document, (*at, "hl7 v2"), before.values()),
    ]


def _problems_of_name(
    name: str | None, document: Document, at: Where, before: dict[str, Server]
) -> list[Problem]:
    if name is None:
        return []
    mark = document.mark((*at, "name"))
    if not _NAME.fullmatch(name):
        message = "a name is made of letters, digits and single hyphens"
        return [Problem("R205", mark, message, "write for example: general-hospital")]
    if any(server.name == name for server in before.values()):
        return [Problem("R204", mark, "another server has this name already")]
    return []


def _problems_of_subscriptions(
    shape: SubscriptionShape, document: Document, at: Where
) -> list[Problem]:
    problems: list[Problem] = []

    def problem(code: str, name: str, message: str, remedy: str) -> None:
        problems.append(Problem(code, document.mark((*at, name)), message, remedy))

    if shape.owner is not None and not _is_owner(shape.owner):
        remedy = "write for example: Organization/laboratory"
        problem("R206", "owner", f"an owner is one of {', '.join(sorted(_OWNERS))}", remedy)
    if int(shape.settling_seconds) > _LONGEST_SETTLING:
        message = f"results settle for at most {_LONGEST_SETTLING} seconds"
        problem("R207", "settling seconds", message, "write a few seconds")
    if shape.topic is not None and not _CANONICAL.fullmatch(shape.topic):
        remedy = "write the URL that the server's SubscriptionTopic has"
        problem("R208", "topic", "a topic is named by its canonical URL", remedy)
    return problems


def _is_owner(reference: str) -> bool:
    kind, _, identity = reference.partition("/")
    return kind in _OWNERS and is_id(identity)
