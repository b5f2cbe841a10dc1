# SPDX-License-Identifier: Apache-2.0
"""HTTPS without a proxy, with a certificate made for the test."""

import http.client
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from cds_service.errors import SettingsError
from cds_service.settings import Settings
from cds_service.web.access.open_mode import refuse_unsafe
from tests.conformance.certificate import make_certificate
from tests.conformance.server import say, serving

pytestmark = pytest.mark.server


@pytest.fixture(name="secure", scope="module")
def _secure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, Path]]:
    certificate, key = make_certificate(tmp_path_factory.mktemp("tls"))
    with serving(tls_certificate=certificate, tls_key=key) as port:
        yield port, certificate


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_discovery_over_tls(secure: tuple[int, Path], version: ssl.TLSVersion) -> None:
    port, certificate = secure
    context = ssl.create_default_context(cafile=str(certificate))
    context.minimum_version = context.maximum_version = version
    connection = http.client.HTTPSConnection("127.0.0.1", port, context=context, timeout=60)

    connection.request("GET", "/cds-services")
    response = connection.getresponse()

    assert response.status == 200
    assert b"liver-patient-view" in response.read()
    connection.close()


def test_plain_http_gets_nothing_on_the_same_port(secure: tuple[int, Path]) -> None:
    port, _ = secure

    said, closed = say(port, b"GET /cds-services HTTP/1.1\r\nHost: localhost\r\n\r\n")

    assert closed
    assert b"HTTP" not in said


@pytest.mark.parametrize("given", ["tls_certificate", "tls_key"])
def test_a_certificate_without_its_key_stops_the_start(given: str, tmp_path: Path) -> None:
    paths = dict(zip(("tls_certificate", "tls_key"), make_certificate(tmp_path), strict=True))

    with pytest.raises(SettingsError, match="go together"):
        refuse_unsafe(Settings().model_copy(update={given: paths[given]}))
