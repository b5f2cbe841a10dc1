# SPDX-License-Identifier: Apache-2.0
"""The endpoints of Subscriptions: what FHIR servers send when a result arrives.

200 means that it is on a disk. Whatever is sent, no FHIR server is asked before the answer.
"""

from flask import Blueprint, Response, g, request
from msgspec.json import Encoder

from cds_service.errors import CdsServiceError
from cds_service.metrics import Metrics
from cds_service.settings import Settings
from cds_service.subscriptions.receive import HttpNotification, Receipt, Receiver
from cds_service.web.server.bodies import read_any
from cds_service.web.server.precheck import ADMITTED

_FHIR_JSON = "application/fhir+json; charset=utf-8"
# HAPI sends a notification of a topic again and again unless a Bundle answers it.
_BUNDLE = {"resourceType": "Bundle", "type": "transaction-response"}
_STORED = {
    "resourceType": "OperationOutcome",
    "issue": [{"severity": "information", "code": "informational", "diagnostics": "Stored."}],
}
_ENCODER = Encoder()


def blueprint(settings: Settings, receiver: Receiver, metrics: Metrics) -> Blueprint:
    """The addresses that take notifications."""
    routes = Blueprint("subscriptions", __name__)

    def take(subscription_id: str, sub_path: str) -> Response:
        g.entry.outcome = "notification"
        try:
            headers = dict(request.headers)
            admitted = request.environ.get(ADMITTED)
            if isinstance(admitted, Exception):
                raise admitted
            if admitted is None:  # the head was not looked at before
                admitted = receiver.admit(subscription_id, headers)
            receipt = receiver.receive(
                subscription_id,
                HttpNotification(
                    method=request.method,
                    sub_path=sub_path,
                    headers=headers,
                    body=read_any(request, settings.max_notification_bytes),
                ),
                admitted,
            )
        except CdsServiceError:
            g.entry.outcome = None
            metrics.notifications.labels("refused").inc()
            raise
        g.entry.facts = {"arrived": receipt.arrived, "foreign": receipt.foreign}
        metrics.notifications.labels(receipt.kind).inc()
        return _answer(receipt)

    @routes.route("/subscriptions/<subscription_id>", methods=["POST", "PUT"])
    def endpoint(subscription_id: str) -> Response:
        return take(subscription_id, "")

    @routes.route(
        "/subscriptions/<subscription_id>/<type>/<resource>", methods=["PUT", "POST", "DELETE"]
    )
    def below(subscription_id: str, type: str, resource: str) -> Response:  # noqa: A002 - its name in the address
        return take(subscription_id, f"{type}/{resource}")

    return routes


def _answer(receipt: Receipt) -> Response:
    body = _BUNDLE if receipt.is_bundle else _STORED
    return Response(_ENCODER.encode(body), content_type=_FHIR_JSON)
