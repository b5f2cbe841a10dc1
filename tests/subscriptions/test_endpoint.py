# SPDX-License-Identifier: Apache-2.0
"""Where servers send to, and what they declare."""

from pathlib import Path
from typing import Any

import pytest

from cds_service.fhir_client.servers import Server
from cds_service.settings import Settings
from cds_service.subscriptions.capability import TOPIC_CANONICAL, SubscriptionSupport, support_in
from cds_service.subscriptions.endpoint import endpoints_below, path_in
from cds_service.subscriptions.resource import PROFILE

REMOTE = Server(base="https://fhir.example.org/r4")
LOCAL = Server(base="http://127.0.0.1:8090/fhir")
DEVELOPMENT: dict[str, Any] = {"profile": "development"}


@pytest.mark.parametrize(
    ("settings", "server", "address"),
    [
        ({"public_url": "https://cds.example.org/x/"}, REMOTE, "https://cds.example.org/x"),
        ({"public_url": "https://cds.example.org"}, LOCAL, "https://cds.example.org"),
        ({"public_url": "http://cds.example.org"}, REMOTE, None),
        ({"public_url": "http://127.0.0.1:80"}, LOCAL, "http://127.0.0.1:80"),
        ({"public_url": "http://cds.local", **DEVELOPMENT}, REMOTE, "http://cds.local"),
        ({}, LOCAL, None),
        (DEVELOPMENT, REMOTE, None),
        (DEVELOPMENT, LOCAL, "http://127.0.0.1:8000"),
        ({**DEVELOPMENT, "port": 0}, LOCAL, None),
        ({**DEVELOPMENT, "host": "0.0.0.0", "port": 9}, LOCAL, "http://127.0.0.1:9"),  # noqa: S104
        ({**DEVELOPMENT, "host": "::1", "port": 9}, LOCAL, "http://[::1]:9"),
        ({**DEVELOPMENT, "host": "::", "port": 9}, LOCAL, "http://[::1]:9"),
    ],
)
def test_subb_025_the_address_is_public_and_safe_or_of_this_machine(
    settings: dict[str, Any], server: Server, address: str | None
) -> None:
    found = endpoints_below(Settings(**settings), server)

    assert found == (None if address is None else f"{address}/subscriptions")


def test_with_a_certificate_of_its_own_it_is_https(tmp_path: Path) -> None:
    key = tmp_path / "key.pem"
    key.touch()

    found = endpoints_below(Settings(**DEVELOPMENT, tls_key=key, tls_certificate=key), LOCAL)

    assert found == "https://127.0.0.1:8000/subscriptions"


@pytest.mark.parametrize(
    ("endpoint", "path"),
    [
        ("https://cds.example.org/x/subscriptions/abc", "abc"),
        ("https://cds.example.org/subscriptions/", ""),
        ("https://cds.example.org/other/abc", ""),
        ("", ""),
    ],
)
def test_ours_is_known_by_its_path(endpoint: str, path: str) -> None:
    assert path_in(endpoint) == path


def statement(**resource: Any) -> dict[str, Any]:
    return {
        "fhirVersion": "4.0.1",
        "rest": [{"resource": [{"type": "Patient"}, {"type": "Subscription", **resource}]}],
    }


def test_what_a_server_declares_is_read() -> None:
    extensions = [{"url": TOPIC_CANONICAL, "valueCanonical": "https://x/1"}, {"url": "other"}]
    declared = statement(
        extension=extensions, supportedProfile=[PROFILE], operation=[{"name": "$status"}]
    )

    assert support_in(declared) == SubscriptionSupport(
        version="4.0.1",
        declared=True,
        backport=True,
        topics=("https://x/1",),
        status_operation=True,
    )
    assert support_in(statement(supportedProfile=[f"{PROFILE}|1.1.0"])).backport
    assert not support_in(statement()).backport


@pytest.mark.parametrize(
    "odd",
    [{}, {"rest": {}}, {"rest": [7]}, {"rest": [{"resource": [None]}]}, statement(extension=1)],
)
def test_a_statement_of_another_form_declares_nothing(odd: dict[str, Any]) -> None:
    found = support_in(odd)

    assert (found.backport, found.topics, found.knows("https://x/1")) == (False, (), True)
