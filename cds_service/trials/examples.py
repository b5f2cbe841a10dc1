# SPDX-License-Identifier: Apache-2.0
"""The example patients of a pack as hook requests."""

from datetime import datetime
from typing import Any

import msgspec

from cds_service.knowledge.model.pack import Pack, Service
from cds_service.knowledge.model.pack_file import Example
from cds_service.trials.synthetic_request import request_of

_encoder = msgspec.json.Encoder(decimal_format="number")


def example_request(pack: Pack, example: Example, service: Service, now: datetime) -> bytes:
    """The hook request for an example of the pack, as JSON, with dates relative to `now`."""
    given: Any = example.given
    return _encoder.encode(request_of(given, pack, now, service.hook))


def example_resources(
    pack: Pack, example: Example, service: Service, now: datetime, *, corrected: bool = False
) -> list[dict[str, Any]]:
    """The FHIR resources of an example, as a server would hold them; `corrected`, as they become.

    What is corrected has the id that it had before.
    """
    given: Any = {**example.given, **(example.corrected if corrected else {})}
    request: Any = msgspec.json.decode(
        _encoder.encode(request_of(given, pack, now, service.hook)),
    )
    found = [
        resource
        for part in request["prefetch"].values()
        for resource in ([entry["resource"] for entry in part.get("entry", ())] or [part])
    ]
    return [resource for resource in found if resource["resourceType"] != "Bundle"]
