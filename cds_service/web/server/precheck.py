# SPDX-License-Identifier: Apache-2.0
"""Reject requests on their headers alone, before reading the body; `hook_calls` does so itself.

The precheck only names the refusal; the application answers it, so that it is logged, counted and
shown to browsers like any other. A token is good for one call: the precheck leaves what came of it
in the environ, where no header can put anything, and the application does not look again.
"""

from collections.abc import Collection
from typing import Final

from flask import Flask, Request
from werkzeug.exceptions import HTTPException

from cds_service.errors import CdsServiceError, RequestError
from cds_service.subscriptions.endpoint import PATH
from cds_service.subscriptions.receive import Receiver
from cds_service.trust.verify import Fault
from cds_service.web.access.clients import VERDICT, Gate
from cds_service.web.access.open_mode import why_refused
from cds_service.web.server.bodies import check_type
from cds_service.web.server.request_parts import Environ, check_host

ADMITTED: Final = "cds_service.admitted"
"""In the environ: the Subscription of a notification, or why there is none."""


def problem_of(request: Request) -> str | None:
    """Why a request may not be answered in open mode, or `None`."""
    host = request.headers.get("Host")
    return why_refused(request.remote_addr or "", request.headers.keys(), host)


class HeaderPrecheck:
    """Looks at the heads of requests to an application."""

    def __init__(
        self, app: Flask, gate: Gate | None, services: Collection[str], receiver: Receiver
    ) -> None:
        self._app = app
        self._gate = gate
        self._services = services
        self._receiver = receiver

    def waits(self, environ: Environ) -> bool:
        """Whether a look may have to wait, for the keys of a client or for the database."""
        return self._gate is not None or environ["PATH_INFO"].startswith(f"{PATH}/")

    def refuses(self, environ: Environ) -> bool:
        """Whether the application will refuse the request whatever its body is."""
        request = self._app.request_class(environ)
        try:
            check_host(environ.get("HTTP_HOST"), environ.get("SERVER_PROTOCOL"))
            self._find(request)
        except (RequestError, HTTPException):  # no such address, or not by this method
            return True
        return (
            self._is_unauthenticated(request, environ)
            or self._is_unservable(request)
            or self._is_not_admitted(request, environ)
        )

    def _find(self, request: Request) -> None:
        """Note the route of the request, as Flask does."""
        adapter = self._app.create_url_adapter(request)
        if adapter is not None:
            request.url_rule, found = adapter.match(return_rule=True)
            request.view_args = dict(found)

    def _is_unauthenticated(self, request: Request, environ: Environ) -> bool:
        if self._gate is None:
            return problem_of(request) is not None
        try:
            verdict = self._gate.verify(request)
        except Exception as error:  # noqa: BLE001 - it is raised again where it is answered
            environ[VERDICT] = error
            return True
        environ[VERDICT] = verdict
        return isinstance(verdict, Fault)

    def _is_not_admitted(self, request: Request, environ: Environ) -> bool:
        path = (request.view_args or {}).get("subscription_id")
        if path is None:
            return False
        try:
            environ[ADMITTED] = self._receiver.admit(path, dict(request.headers))
        except CdsServiceError as error:
            environ[ADMITTED] = error  # a second look might find another answer, and no body
            return True
        return False

    def _is_unservable(self, request: Request) -> bool:
        service = (request.view_args or {}).get("service_id")
        if service is None:
            return False
        try:
            check_type(request.content_type, request.headers.get("Content-Encoding"))
        except CdsServiceError:
            return True
        return service not in self._services
