# SPDX-License-Identifier: Apache-2.0
"""What clients may do by new registrations that they could not do by the old, for the log."""

from collections.abc import Iterator
from typing import Final

from cds_service.trust.clients import Client, Registrations

# Those of which an empty list restricts nothing.
_RESTRICTIONS: Final = ("tenants", "fhir_servers")
_RIGHTS: Final = ("algorithms", "audiences", "jku", "origins")
_PERMISSIONS: Final = ("private_network", "patients_see_cards")


def widened(before: Registrations, after: Registrations) -> Iterator[tuple[str, tuple[str, ...]]]:
    """The id of each client that may do more than before, with what that is by.

    That is the names of what was changed in its registration, or `client` if it is new.
    """
    known = {client.id: client for client in before.clients}
    for client in after.clients:
        old = known.get(client.id)
        by = ("client",) if old is None else tuple(_widened(old, client))
        if by:
            yield client.id, by


def _widened(old: Client, new: Client) -> Iterator[str]:
    if new.issuer != old.issuer:
        yield "issuer"
    if {key.thumbprint for key in new.keys} - {key.thumbprint for key in old.keys}:
        yield "keys"
    if new.jwks_url not in {None, old.jwks_url}:
        yield "jwks_url"
    for name in _RIGHTS:
        if set(getattr(new, name)) - set(getattr(old, name)):
            yield name
    for name in _RESTRICTIONS:
        allowed, allows = getattr(old, name), getattr(new, name)
        if allowed and (not allows or allows - allowed):
            yield name
    for name in _PERMISSIONS:
        if getattr(new, name) and not getattr(old, name):
            yield name
    if _lives_longer(old, new):
        yield "token_max_seconds"


def _lives_longer(old: Client, new: Client) -> bool:
    """Whether tokens may live longer; against the limit of all clients that is taken to be so."""
    if old.longest_token is None or new.longest_token is None:
        return old.longest_token != new.longest_token
    return new.longest_token > old.longest_token
