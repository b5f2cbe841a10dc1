# SPDX-License-Identifier: Apache-2.0
"""What the commands about Subscriptions share: the server, its token, the database, the plan."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any, Final, NoReturn

import click

from cds_service.cli.printable import printable
from cds_service.clock import Deadline, system_clock
from cds_service.fhir_client.servers import ANYWHERE, Server
from cds_service.fhir_client.servers_file import load_servers
from cds_service.hooks.discovery import results_filter
from cds_service.knowledge.site.overlay import load_packs_at
from cds_service.outgoing.address_policy import AddressNotAllowed
from cds_service.outgoing.messages import HttpRequest, TransportError
from cds_service.outgoing.transport import Transport
from cds_service.settings import Settings, cards_folder, database_url, load_settings
from cds_service.smart.signing_keys import open_keys
from cds_service.smart.token_cache import open_token_cache
from cds_service.store.engine import open_store
from cds_service.subscriptions.endpoint import PATH
from cds_service.subscriptions.register import Registered
from cds_service.subscriptions.registration import Registration, RegistrationTable
from cds_service.subscriptions.registry import SubscriptionRegistry
from cds_service.subscriptions.remote_subscriptions import RegistrationError

_PATIENCE: Final = 3.0  # seconds
_MOST_BYTES: Final = 1024


class SubscriptionCommands(SubscriptionRegistry):
    """The same by the names that people give."""

    def server(self, name: str) -> Server:
        """The server of this name or base; wrong use if there is none."""
        found = self.servers.named(name)
        if found is None:
            raise click.BadParameter(
                "there is no such server: give a name or base of CDS_FHIR_SERVERS",
                param_hint="--server",
            )
        return found

    def chosen(self, name: str | None) -> tuple[Registration, ...]:
        """The registrations of this server, or all of them."""
        return self.rows.all(None if name is None else self.server(name).base)


@contextmanager
def open_registry() -> Iterator[SubscriptionCommands]:
    """The registry of the configured database, until the block ends."""
    settings = load_settings()
    servers = load_servers(settings.fhir_servers, development=settings.profile == "development")
    keys = open_keys(settings.signing_keys)
    store = open_store(database_url(settings))
    try:
        yield SubscriptionCommands(
            settings=settings,
            servers=servers,
            rows=RegistrationTable(store.database),
            tokens=None if keys is None else open_token_cache(keys, system_clock),
            clock=system_clock,
            results=lambda: _results(settings),
        )
    finally:
        store.close()


def _results(settings: Settings) -> str:
    """The search parameter for the laboratory results that the packs read."""
    packs = load_packs_at(cards_folder(settings), settings.site_file)
    return results_filter(packs, by_category=settings.lab_category_prefetch)


def fail(error: RegistrationError) -> NoReturn:
    """Say why, and leave: 3 if the server is away or failed, else 1."""
    click.echo(f"cds-service: {printable(str(error))}", err=True)
    sys.exit(3 if error.outside else 1)


def is_answered(endpoint: str) -> bool:
    """Whether the service answers where the endpoint is, as far as that is seen from here."""
    request = HttpRequest(
        url=f"{endpoint.rpartition(PATH)[0]}/health", headers={}, most_bytes=_MOST_BYTES
    )
    try:
        return Transport(ANYWHERE).send(request, Deadline(_PATIENCE)).status == HTTPStatus.OK
    except (TransportError, AddressNotAllowed):
        return False


def registered_row(registered: Registered) -> dict[str, Any]:
    """A Subscription and what its server made of it, for JSON."""
    return {
        **row_of(registered.registration),
        "endpoint": registered.endpoint,
        "made": registered.made,
        "differences": [
            {"element": difference.element, "sent": difference.sent, "stored": difference.stored}
            for difference in registered.differences
        ],
        **({"error": registered.error} if registered.error else {}),
        **({"writtenAsActive": True} if registered.written_as_active else {}),
    }


def row_of(row: Registration) -> dict[str, Any]:
    """A registration without its secrets, for JSON."""
    times = {
        "lastReceived": row.last_received,
        "expires": row.expires,
        "created": row.created,
    }
    return {
        "server": row.server,
        "subscription": f"Subscription/{row.remote_id}" if row.remote_id else None,
        "kind": row.kind,
        "content": row.content,
        "what": row.what,
        "status": row.status,
        "numbered": row.numbered,
        "lastEvent": row.last_event,
        **{
            name: None if time is None else time.isoformat(timespec="seconds")
            for name, time in times.items()
        },
    }


def print_registered(registered: Registered) -> None:
    """The Subscription for people; what another server wrote must not steer the terminal."""
    row = registered.registration
    verb = "made" if registered.made else "written again"
    click.echo(f"{registered.reference} on {row.server}: {verb}, {printable(row.status)}")
    label = row.what if row.kind != "criteria" else "laboratory results by criteria"
    click.echo(f"  {'notifies of':<21} {printable(label)}")
    click.echo(f"  {'content':<21} {row.content}")
    click.echo(f"  {'endpoint':<21} {registered.endpoint}")
    for difference in registered.differences:
        changed = f"{difference.element}: sent {difference.sent}, stored {difference.stored}"
        click.echo(f"  {'the server changed':<21} {printable(changed)}")
    if registered.written_as_active:
        click.echo(f"  {'note':<21} it stayed requested, so it was written again as active")
    if registered.error:
        click.echo(f"  {'the server says':<21} {printable(registered.error)}")
    if not is_answered(registered.endpoint):
        start = "is the service running? 'cds-service serve --with-worker'"
        click.echo(f"  {'note':<21} nothing answers at the endpoint from here: {start}")
    if row.status == "active" and row.last_received is None:
        click.echo(f"  {'note':<21} never delivered yet: see 'cds-service subscriptions status'")
