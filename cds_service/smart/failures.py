# SPDX-License-Identifier: Apache-2.0
"""Why the service got no access token of its own: a closed list, in words for the administrator."""

from typing import Final, Literal, TypeAlias

from cds_service.fhir_client.failures import QueryError, QueryFailure

OAuthError: TypeAlias = Literal[  # RFC 6749, section 5.2
    "invalid_request",
    "invalid_client",
    "invalid_grant",
    "unauthorized_client",
    "unsupported_grant_type",
    "invalid_scope",
]
TokenFailure: TypeAlias = (
    Literal[
        "no-keys",
        "no-key",
        "in-the-clear",
        "no-discovery",
        "no-endpoint",
        "endpoint-closed",
        "no-method",
        "no-algorithm",
        "unanswered",
        "redirected",
        "no-token",
        "not-bearer",
        "fewer-scopes",
        "refused",
        "failed",
    ]
    | OAuthError
)

TOKEN_FAILURES: Final[dict[TokenFailure, str]] = {
    "no-keys": "the service has no signing keys; CDS_SIGNING_KEYS names their file",
    "no-key": "no signing key of the algorithm for this server signs yet",
    "in-the-clear": "the server has no https, so no token is sent to it",
    "no-discovery": "its .well-known/smart-configuration is not there, or cannot be read",
    "no-endpoint": "its .well-known/smart-configuration names no token_endpoint",
    "endpoint-closed": "its token endpoint may not be called: not by https, or closed to us",
    "no-method": "it does not take private_key_jwt",
    "no-algorithm": "it does not take the algorithm of the servers file",
    "unanswered": "its token endpoint gave no whole answer",
    "redirected": "its token endpoint sends elsewhere; that is not followed",
    "no-token": "what its token endpoint sent is no access token",
    "not-bearer": "its access token is of another type than bearer",
    "fewer-scopes": "it granted none of the scopes that the service needs",
    "refused": "its token endpoint refused, without a reason that is known",
    "failed": "its token endpoint failed (5xx)",
    "invalid_request": "it says invalid_request: something is missing, or given twice",
    "invalid_client": "it says invalid_client: the client id, the key or the audience is not known",
    "invalid_grant": "it says invalid_grant: the grant is not valid",
    "unauthorized_client": "it says unauthorized_client: the client may not use this grant",
    "unsupported_grant_type": "it says unsupported_grant_type: it knows no client_credentials",
    "invalid_scope": "it says invalid_scope: the client may have none of the scopes",
}


class TokenError(QueryError):
    """The service got no token of its own; `reason` says why, `text` in words."""

    def __init__(self, reason: TokenFailure, code: QueryFailure = "no-own-token") -> None:
        super().__init__(code)
        self.reason: TokenFailure = reason
        self.text = TOKEN_FAILURES[reason]
