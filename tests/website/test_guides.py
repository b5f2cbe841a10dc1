# SPDX-License-Identifier: Apache-2.0
"""What the guides for single EHRs and FHIR servers show is read by the service as it stands."""

import json
import re
from pathlib import Path
from textwrap import dedent

import pytest

from cds_service.fhir_client.servers_file import load_servers
from cds_service.subscriptions.notification import read_notification
from cds_service.trust.clients_file import read_registrations
from tests.house.source import ROOT

GUIDES = ROOT / "docs" / "how-to"
OF_SENDERS = ("epic", "oracle-health", "athenahealth", "cds-hooks-sandbox", "hapi", "medplum")


def text(guide: str) -> str:
    return (GUIDES / f"{guide}.md").read_text(encoding="utf-8")


def example(guide: str, folder: Path) -> Path:
    (found,) = re.findall(r"^ *```yaml\n(.*?)^ *```", text(guide), re.MULTILINE | re.DOTALL)
    file = folder / "example.yaml"
    file.write_text(dedent(found), encoding="utf-8")
    return file


@pytest.mark.parametrize(("guide", "profile"), [("epic", "epic"), ("oracle-health", "default")])
def test_a_registration_is_read_as_it_stands(guide: str, profile: str, tmp_path: Path) -> None:
    found, problems = read_registrations(example(guide, tmp_path), development=False)

    assert problems == []
    assert found is not None
    assert [client.output_profile for client in found.clients] == [profile]


@pytest.mark.parametrize(("guide", "name"), [("athenahealth", "athena"), ("medplum", "medplum")])
def test_a_server_is_read_as_it_stands(guide: str, name: str, tmp_path: Path) -> None:
    servers = load_servers(example(guide, tmp_path), development=False)

    server = servers.named(name)
    assert server is not None
    assert server.client_id


@pytest.mark.parametrize("guide", OF_SENDERS)
def test_a_guide_says_what_was_tried_and_what_was_not(guide: str) -> None:
    assert "**Tried:**" in text(guide)
    assert "**Not tried:**" in text(guide)
    places = re.findall(r"`(tests/[\w/.-]+)`", text(guide))
    assert [place for place in places if not (ROOT / place).exists()] == []


def test_an_event_that_names_an_identifier_alone_makes_a_search() -> None:
    sent = json.loads(
        (ROOT / "tests" / "data" / "notifications" / "athenahealth.json").read_text("utf-8")
    )
    body = sent["requests"][0]["body"]
    body["entry"] = body["entry"][:1]
    for event in body["entry"][0]["resource"]["notificationEvent"]:
        event["focus"] = {"identifier": {"system": "urn:athenahealth:lab:1", "value": "7"}}

    read = read_notification(
        method="POST",
        sub_path="",
        headers={"content-type": "application/fhir+json"},
        body=json.dumps(body).encode(),
        server=sent["server"],
    )

    assert read.resources == ()
    assert read.search
