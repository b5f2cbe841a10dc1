# SPDX-License-Identifier: Apache-2.0
"""A hook call meets the FHIR server that it names: what it left out is fetched, if it may be."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from cds_service.clock import Clock, Deadline
from cds_service.fhir_client.client import Access, FhirClient
from cds_service.fhir_client.prefetch_completion import WHOLE, WHOLE_WITHOUT, Completer
from cds_service.fhir_client.references import MOST
from cds_service.fhir_client.servers import Servers
from cds_service.fhir_client.servers_file import load_servers
from cds_service.hooks.request import HookRequest
from cds_service.metrics import Metrics
from cds_service.settings import Settings, prefetch_keys
from cds_service.smart.access import authorize_call
from cds_service.smart.signing_keys import KeyFile
from cds_service.smart.token_cache import TokenCache, open_token_cache
from cds_service.trust.clients import Client
from cds_service.web.access.clients import keys_of
from cds_service.web.request_log import LogEntry

# The rest of the time is for judging and for the answer.
_SHARE: Final = 0.8


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetching:
    """Completes the calls of a service; `keys` as `settings.prefetch_keys` gives them."""

    servers: Servers
    completer: Completer
    tokens: TokenCache | None
    metrics: Metrics
    keys: Mapping[str, str]

    def asks(
        self,
        request: HookRequest,
        templates: Mapping[str, str],
        deadline: Deadline,
        client: Client | None,
    ) -> bool:
        """Whether the call left out anything that its FHIR server may be asked for."""
        access = self._access(request, templates, deadline, client)
        return access is not None and not self.completer.is_whole(
            request, templates, access, deadline, keys_of(client, self.keys)
        )

    def completed(
        self,
        request: HookRequest,
        templates: Mapping[str, str],
        deadline: Deadline,
        client: Client | None,
        entry: LogEntry,
    ) -> HookRequest:
        """The request with what its FHIR server has of the rest; as it is without access.

        `deadline` is that of the whole call; what came of the queries is noted in the `entry`.
        """
        access = self._access(request, templates, deadline, client)
        if access is None:
            return request
        share = replace(deadline, seconds=_SHARE * deadline.seconds)
        complete = self.completer.complete(
            request, templates, access, share, keys_of(client, self.keys)
        )
        outcomes = tuple(complete.fetched.values())
        for outcome in outcomes:
            self.metrics.fhir_queries.labels(outcome).inc()
        if outcomes:
            failed = sum(outcome not in {WHOLE, WHOLE_WITHOUT} for outcome in outcomes)
            entry.facts |= {"fetched": len(outcomes), "failed": failed}
        return complete

    def _access(
        self,
        request: HookRequest,
        templates: Mapping[str, str],
        deadline: Deadline,
        client: Client | None,
    ) -> Access | None:
        """The server that the call is about, with the right to ask it."""
        if request.fhir_server is None:
            return None
        server = self.servers.for_call(request.fhir_server, client)
        if server is None:
            return None
        # What is only referred to is read as well; a token has to be for all of it.
        queries = (*templates.values(), *MOST)
        return authorize_call(server, request.authorization, deadline, self.tokens, queries)


def make_fetching(
    settings: Settings, clock: Clock, metrics: Metrics, keys: KeyFile | None
) -> Fetching:
    """Completes calls as set; raises `SettingsError` with all that is wrong with the servers."""
    client = FhirClient(most_bytes=settings.max_body_bytes, most_pages=settings.fhir_max_pages)
    servers = load_servers(settings.fhir_servers, development=settings.profile == "development")
    if settings.fhir_servers is not None:
        client.prepare()
    return Fetching(
        servers=servers,
        completer=Completer(
            client=client, max_depth=settings.max_depth, max_entries=settings.max_entries
        ),
        tokens=None if keys is None else open_token_cache(keys, clock),
        metrics=metrics,
        keys=prefetch_keys(settings),
    )
