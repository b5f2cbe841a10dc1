# SPDX-License-Identifier: Apache-2.0
"""Which access token requests carry: that of a hook call, the service's own, or none.

A token that comes with a call is limited to what its user may see (CDS Hooks 2.0.1, "FHIR Resource
Access"). The service's own sees more, so it never stands in for it: it serves calls without a
token, and only where the servers file says `own access for hooks: yes`.
"""

from collections.abc import Iterable
from dataclasses import replace

from cds_service.clock import Deadline
from cds_service.fhir_client.client import Access, GivenToken, NoToken
from cds_service.fhir_client.servers import Server
from cds_service.hooks.request import Authorization
from cds_service.smart.token_cache import TokenCache


def authorize_call(
    server: Server,
    authorization: Authorization | None,
    deadline: Deadline,
    tokens: TokenCache | None,
    queries: Iterable[str],
) -> Access | None:
    """The server with the token for a call's queries, or `None` if it may not be queried.

    The period of `deadline` begins when the call was received, and so does the life of its token.
    `tokens` is `None` where the service has no signing keys.
    """
    if authorization is not None and server.may_see_token:
        life = replace(deadline, seconds=authorization.expires_in)
        return Access(server, GivenToken(authorization.access_token, life))
    if authorization is None and tokens is not None and _has_own(server):
        return Access(server, tokens.bearer(server, queries))
    return Access(server, NoToken()) if server.anonymous else None


def authorize_background(
    server: Server,
    tokens: TokenCache | None,
    queries: Iterable[str],
    writes: Iterable[str] = (),
) -> Access | None:
    """The server with the service's own token, for work that no user asked for.

    `writes` are the types that are created or updated. `None` if there is no token to be had and
    the server is not an `anonymous` one.
    """
    if tokens is not None and server.client_id is not None and server.may_see_token:
        return Access(server, tokens.bearer(server, queries, writes))
    return Access(server, NoToken()) if server.anonymous else None


def _has_own(server: Server) -> bool:
    """Whether calls without a token are served with the service's own."""
    return server.own_access_for_hooks and server.client_id is not None and server.may_see_token
