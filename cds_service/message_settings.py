# SPDX-License-Identifier: Apache-2.0
"""The settings of `cds-service listen mllp`; a part of `settings.py`, which reads them."""

from typing import Annotated

from pydantic import Field, FilePath, PositiveInt, StringConstraints
from pydantic_settings import BaseSettings


class MessageListenerSettings(BaseSettings):
    """Settings of messages of HL7 v2."""

    mllp_host: Annotated[str, StringConstraints(min_length=1)] = Field(
        "127.0.0.1", description="The address to listen on for messages of HL7 v2."
    )
    mllp_port: Annotated[int, Field(ge=0, le=65535)] = Field(
        2575, description="The port to listen on for messages of HL7 v2; 0 takes any free one."
    )
    mllp_tls_certificate: FilePath | None = Field(
        None, description="The certificate chain (PEM) for messages over TLS, 1.2 or newer."
    )
    mllp_tls_key: FilePath | None = Field(
        None, description="The private key (PEM) of that certificate."
    )
    mllp_client_authorities: FilePath | None = Field(
        None,
        description="The certificates (PEM) of those who sign for senders of messages. Unset: "
        "senders need no certificate.",
    )
    mllp_clear: bool = Field(
        False,
        description="Take messages without TLS from other machines: they hold patient data in the "
        "clear.",
    )
    mllp_max_message_bytes: PositiveInt = Field(
        2 * 1024 * 1024, description="The longest message of HL7 v2 that is read, in bytes."
    )
    mllp_message_seconds: Annotated[int, Field(ge=1, le=3600)] = Field(
        30, description="How long a message may take to arrive, in seconds."
    )
    mllp_idle_seconds: Annotated[int, Field(ge=1, le=86400)] = Field(
        3600, description="How long a sender may stay connected without a message, in seconds."
    )
    mllp_max_connections: Annotated[int, Field(ge=1, le=10_000)] = Field(
        64, description="The most senders that are connected at the same time."
    )
    mllp_max_connections_per_address: Annotated[int, Field(ge=1, le=10_000)] | None = Field(
        None,
        description="The most connections from one address (of IPv6 from one /64 network). Unset: "
        "a quarter of `CDS_MLLP_MAX_CONNECTIONS`, at least 1.",
    )
