# SPDX-License-Identifier: Apache-2.0
"""A call of a CDS Service as an EHR makes it: what was asked, what came back, how long it took."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit

from cds_service.cli.printable import printable, printable_in
from cds_service.clock import Deadline, stopwatch
from cds_service.errors import CdsServiceError
from cds_service.fhir_client.servers import ANYWHERE
from cds_service.outgoing.address_policy import AddressNotAllowed, is_this_machine
from cds_service.outgoing.messages import (
    HttpRequest,
    HttpResponse,
    TransportError,
    UntrustedCertificate,
)
from cds_service.outgoing.transport import Transport

_MOST_BYTES: Final = 16 * 1024 * 1024
_SERVICES: Final = "/cds-services"

REFUSALS: Final[Mapping[int, str]] = {
    400: "The request is not as CDS Hooks has it; the path before the colon says where.",
    401: "The service did not accept the token, and never tells a caller why. Its own log does, "
    "in the line of this call (refused), and so does `cds-service clients check --token -`.",
    403: "The caller is known or on this machine, and may not ask this: about this FHIR server, "
    "through a proxy, or by this name of the host.",
    404: "No service has this address. GET /cds-services lists those that there are.",
    405: "A hook is called with POST.",
    408: "The body did not arrive in time.",
    412: "The service needs FHIR data that were neither in the prefetch nor to be had from the "
    "FHIR server. Send every prefetch key of discovery, or fhirServer with fhirAuthorization.",
    413: "The body is longer, deeper or holds more resources than the service reads.",
    415: "The body must be application/json, not compressed.",
    500: "The service failed. Its log has the reason, in a line with `crash`.",
    503: "The service has no time now. Send it again, after what Retry-After says.",
}
"""What a status of a refusal means for the person who sent the call."""
_OTHER_REFUSAL: Final = "This is no answer that a CDS Service gives: is the address right?"


@dataclass(frozen=True, slots=True, kw_only=True)
class CallAnswer:
    """What came back of one call, with texts that cannot steer a terminal.

    `cards` is `None` unless it was answered. `problem` is what the service wrote of a refusal,
    `challenge` its WWW-Authenticate, `retry_after` its Retry-After.
    """

    url: str
    status: int
    milliseconds: float
    size: int
    cards: list[dict[str, Any]] | None = None
    body: Any = field(default=None, repr=False)
    problem: str = ""
    challenge: str = ""
    retry_after: str = ""

    @property
    def meaning(self) -> str:
        """What a refusal means; empty for an answer."""
        return "" if self.cards is not None else REFUSALS.get(self.status, _OTHER_REFUSAL)


SignedHeaders = Callable[[str], Mapping[str, str]]
"""The headers that prove who calls this address."""


def hook_address(
    base: str, hook: str, service: str | None, signed: SignedHeaders, deadline: Deadline
) -> str:
    """The address of the service that takes this hook; one that names a service stays as it is.

    Raises `CdsServiceError` if discovery does not answer, and `KeyError` with the ids that fit if
    there is not exactly one.
    """
    if _SERVICES + "/" in urlsplit(base).path:
        return base
    services = f"{base.rstrip('/').removesuffix(_SERVICES)}{_SERVICES}"
    if service is not None:
        return f"{services}/{service}"
    call = HttpRequest(
        url=services,
        headers={"Accept": "application/json", **signed(services)},
        most_bytes=_MOST_BYTES,
    )
    answer = _sent(call, deadline)
    document = _json(answer)
    offered = document.get("services") if isinstance(document, dict) else None
    if answer.status != 200 or not isinstance(offered, list):
        raise CdsServiceError(
            f"{services} answered {answer.status} and is no list of services; name the service "
            "with --service, or give the address of a hook"
        )
    fitting = [
        str(service.get("id"))
        for service in offered
        if isinstance(service, dict) and service.get("hook") == hook
    ]
    if len(fitting) != 1:
        raise KeyError(*fitting)
    return f"{services}/{fitting[0]}"


def called(url: str, body: bytes, headers: Mapping[str, str], deadline: Deadline) -> CallAnswer:
    """Send one call of a hook; raises `CdsServiceError`."""
    elapsed = stopwatch()
    answer = _sent(
        HttpRequest(
            url=url,
            headers={"Content-Type": "application/json", "Accept": "application/json", **headers},
            most_bytes=_MOST_BYTES,
            method="POST",
            body=body,
        ),
        deadline,
    )
    milliseconds = elapsed()
    document = printable_in(_json(answer))
    cards = document.get("cards") if isinstance(document, dict) else None
    is_answered = answer.status == 200
    if is_answered and not _are_cards(cards):
        raise CdsServiceError(f"{url} answered 200 without a list of cards: it is no CDS Service")
    return CallAnswer(
        url=url,
        status=answer.status,
        milliseconds=round(milliseconds, 1),
        size=len(answer.body),
        cards=cards if is_answered else None,
        body=document,
        problem="" if is_answered else _problem(document),
        challenge=printable(answer.headers.get("WWW-Authenticate", "")),
        retry_after=printable(answer.headers.get("Retry-After", "")),
    )


def sends_in_the_clear(url: str) -> bool:
    """Whether a token would cross a network without TLS on its way there."""
    return urlsplit(url).scheme != "https" and not is_this_machine(url)


def _sent(request: HttpRequest, deadline: Deadline) -> HttpResponse:
    try:
        return Transport(ANYWHERE).send(request, deadline)
    except UntrustedCertificate as error:
        raise CdsServiceError(
            f"{request.url} is not called: {error}; if an authority of yours signed it, name its "
            "certificate with --ca-file or CDS_AUTHORITIES"
        ) from None
    except (AddressNotAllowed, TransportError) as error:
        raise CdsServiceError(f"{request.url} gave no answer: {error}") from None


def _json(answer: HttpResponse) -> Any:
    try:
        return json.loads(answer.body)
    except (ValueError, RecursionError):
        return None


def _are_cards(cards: object) -> bool:
    return isinstance(cards, list) and all(
        isinstance(card, dict) and "summary" in card and "indicator" in card for card in cards
    )


def _problem(document: object) -> str:
    """What an OperationOutcome says, each issue a sentence."""
    issues = document.get("issue") if isinstance(document, dict) else None
    texts = [
        str(issue.get("diagnostics") or issue.get("details") or issue.get("code"))
        for issue in issues or ()
        if isinstance(issue, dict)
    ]
    return " ".join(texts)
