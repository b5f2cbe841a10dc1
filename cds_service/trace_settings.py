# SPDX-License-Identifier: Apache-2.0
"""The settings of traces; a part of `settings.py`, which reads them."""

from typing import Annotated, Literal, TypeAlias

from pydantic import Field
from pydantic_settings import BaseSettings

TracesTo: TypeAlias = Literal["off", "console", "otlp"]


class TraceSettings(BaseSettings):
    """Settings of traces."""

    traces: TracesTo = Field(
        "off",
        description="Where traces of OpenTelemetry go: to standard output, or by OTLP over HTTP to "
        "the collector that OTEL_EXPORTER_OTLP_ENDPOINT names; needs cds-service[otel].",
    )
    traces_share: Annotated[float, Field(ge=0, le=1)] = Field(
        1.0,
        description="The share of requests that are traced, from 0 to 1, where their caller has "
        "not decided.",
    )
