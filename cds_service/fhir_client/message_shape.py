# SPDX-License-Identifier: Apache-2.0
"""The part of the file of FHIR servers about messages of HL7 v2."""

from collections.abc import Iterable
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Annotated

from pydantic import Field

from cds_service.fhir_client.sender_certificates import read_sender_certificate
from cds_service.fhir_client.servers import MessageSender, MessageSettings, Server
from cds_service.knowledge.reading.schemas import Shape, Text
from cds_service.sourcefile.diagnostics import Problem
from cds_service.sourcefile.document import Document, Where


class SenderShape(Shape):
    """A sender of messages."""

    application: Text
    facility: Text
    addresses: list[Text] = Field(default_factory=list)
    certificates: list[Text] = Field(default_factory=list)


class MessageShape(Shape):
    """Which messages are taken, and whose identifiers their patients have."""

    patients: Annotated[dict[Text, Text], Field(min_length=1)]
    senders: Annotated[list[SenderShape], Field(min_length=1)]
    processing: Text = "P"


def message_settings(shape: MessageShape) -> MessageSettings:
    """The settings; an address or certificate that is none is left out, and is a problem."""
    return MessageSettings(
        patients=dict(shape.patients),
        senders=tuple(
            MessageSender(
                application=sender.application,
                facility=sender.facility,
                networks=tuple(
                    network for text in sender.addresses if (network := _network(text)) is not None
                ),
                certificates=tuple(
                    found
                    for text in sender.certificates
                    if (found := read_sender_certificate(text)) is not None
                ),
            )
            for sender in shape.senders
        ),
        processing=shape.processing,
    )


def problems_of_senders(
    shape: MessageShape | None, document: Document, at: Where, before: Iterable[Server]
) -> list[Problem]:
    """What is wrong with the senders of a server, whose others stand `before` it in the file."""
    if shape is None:
        return []
    problems: list[Problem] = []
    known = {
        (sender.application, sender.facility)
        for server in before
        if server.messages is not None
        for sender in server.messages.senders
    }
    for n, sender in enumerate(shape.senders):
        here = (*at, "senders", n)
        for m, text in enumerate(sender.addresses):
            if _network(text) is None:
                mark = document.mark((*here, "addresses", m))
                message = "this is no address and no network of addresses"
                problems.append(Problem("R209", mark, message, "write 10.1.2.3 or 10.1.0.0/16"))
        for m, text in enumerate(sender.certificates):
            if read_sender_certificate(text) is None:
                mark = document.mark((*here, "certificates", m))
                message = "this is no fingerprint (SHA-256) and no subject of a certificate"
                remedy = "write 64 hexadecimal digits, or CN=lab.example.org,O=Hospital"
                problems.append(Problem("R211", mark, message, remedy))
        if (sender.application, sender.facility) in known:
            mark = document.mark((*here, "application"))
            message = "a sender with this application and facility stands in the file already"
            problems.append(Problem("R210", mark, message))
        known.add((sender.application, sender.facility))
    return problems


def _network(text: str) -> IPv4Network | IPv6Network | None:
    try:
        return ip_network(text)
    except ValueError:
        return None
