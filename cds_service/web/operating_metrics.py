# SPDX-License-Identifier: Apache-2.0
"""What metrics say of the service itself, whether or not anybody calls it.

What alerts count begins at zero here: Prometheus takes the first value of a series for its
beginning, so what a new series had counted before it was seen would be lost
(`docs/how-to/watch.md`).
"""

from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from cds_service import __version__
from cds_service.errors import SettingsError
from cds_service.knowledge.model.pack import Pack
from cds_service.knowledge.model.status import is_signed
from cds_service.metrics import Metrics, make_metrics
from cds_service.service import Knowledge
from cds_service.settings import Settings
from cds_service.smart.signing_keys import ALGORITHMS, KeyFile
from cds_service.web.access.clients import Gate

_NONE: Final = "none"
_OUTCOMES: Final = ("cards", "no-cards")
_STATUSES: Final = ("408", "412", "500", "503")
_UNITS: Final = ("unit-unknown", "unit-missing")
_EPOCH: Final = datetime.fromtimestamp(0, UTC)


def metrics_at_start(settings: Settings, knowledge: Knowledge) -> Metrics:
    """New metrics with what is known: packs, their signatures, the certificate, and zeros.

    Raises `SettingsError` if the certificate cannot be read.
    """
    metrics = make_metrics()
    metrics.info.labels(__version__, settings.profile, "serve").set(1)
    metrics.clients_current.set(1)  # where there is a file of clients, it says so itself
    metrics.signing_keys_current.set(1)
    show_packs(metrics, knowledge.packs)
    for pack in knowledge.packs:
        for marker in (*pack.markers, _NONE):
            for reason in _UNITS:
                metrics.results_set_aside.of(marker, reason)
    for service, by_hook in knowledge.services.items():
        for hook in (*by_hook, _NONE):
            metrics.requests.of(service, hook, "crash")
        for hook in by_hook:
            for outcome in _OUTCOMES:
                metrics.requests.of(service, hook, outcome)
        for status in _STATUSES:
            metrics.errors.of(service, status)
    if settings.tls_certificate is not None:
        for place, end in enumerate(_ends_of(settings.tls_certificate), 1):
            metrics.certificate_end.labels(str(place)).set(end.timestamp())
    return metrics


def show_packs(metrics: Metrics, packs: Iterable[Pack]) -> None:
    """Set which packs are in use, and whether a clinician signed them."""
    for pack in packs:
        metrics.pack_info.labels(pack.id, pack.version).set(1)
        metrics.pack_signed.labels(pack.id, pack.version).set(1 if is_signed(pack) else 0)


def show_files(metrics: Metrics, gate: Gate | None, keys: KeyFile | None, now: datetime) -> None:
    """Set what the files of clients and of signing keys are like now."""
    if gate is not None:
        gate.registry.current()  # if the file has changed it is read, and sets its own metrics
    if keys is None:
        return
    current = keys.current()
    metrics.signing_keys_current.set(1 if keys.is_current else 0)
    metrics.signing_key_begun.clear()
    for algorithm in ALGORITHMS:
        key = current.signing(algorithm, now)
        if key is not None:
            begun = max(key.signs_from, _EPOCH).timestamp()
            metrics.signing_key_begun.labels(algorithm).set(begun)


def _ends_of(path: Path) -> tuple[datetime, ...]:
    """When each certificate of the chain ends. The process keeps this chain until it ends."""
    from cryptography.x509 import load_pem_x509_certificates

    try:
        chain = load_pem_x509_certificates(path.read_bytes())
    except (OSError, ValueError):
        raise SettingsError(
            ["CDS_TLS_CERTIFICATE: expected a file with a certificate chain in PEM"]
        ) from None
    return tuple(certificate.not_valid_after_utc for certificate in chain)
