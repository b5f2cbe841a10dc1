# SPDX-License-Identifier: Apache-2.0
"""Which FHIR servers may be asked: the file, registered clients, and development."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cds_service.errors import SettingsError
from cds_service.fhir_client.servers import ANYWHERE, Server, Servers, SubscriptionSettings
from cds_service.fhir_client.servers_file import (
    CODES,
    ServerShape,
    SubscriptionShape,
    load_servers,
    read_servers,
)
from cds_service.outgoing.address_policy import AddressPolicy
from cds_service.trust.clients import Client
from tests.house.source import ROOT

BASE = "https://fhir.example.org/r4"
CLIENT = Client(id="clinic", issuer="https://clinic.example", fhir_servers=frozenset((BASE,)))


def written(folder: Path, text: str) -> Path:
    path = folder / "servers.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_server_is_read_whole(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        """servers:
  - base: https://FHIR.example.org:443/r4/
    private network: yes
    anonymous: yes
    client id: lab-cds
    algorithm: RS384
    scopes: system/Observation.rs system/Patient.rs
    own access for hooks: yes
    name: General-1
    subscriptions:
      content: full-resource
      payload: no
      topic: https://fhir.example.org/topics/lab|1.0
      numbered: no
      write back: on
      owner: Practitioner/7
      settling seconds: 0
""",
    )

    assert load_servers(path, development=False) == Servers(
        listed={
            BASE: Server(
                base=BASE,
                policy=AddressPolicy(private=True),
                anonymous=True,
                client_id="lab-cds",
                algorithm="RS384",
                scopes=("system/Observation.rs", "system/Patient.rs"),
                own_access_for_hooks=True,
                name="General-1",
                subscriptions=SubscriptionSettings(
                    content="full-resource",
                    payload=False,
                    topic="https://fhir.example.org/topics/lab|1.0",
                    numbered=False,
                    write_back="on",
                    owner="Practitioner/7",
                    settling_seconds=0,
                ),
            )
        }
    )


MESSAGES = f"""\
servers:
  - base: {BASE}
    hl7 v2:
      patients: {{A: b}}
      senders:
        - application: LAB
          facility: A
          addresses: [10.0.0.0/8]
"""
WRONG = {
    MESSAGES.replace("10.0.0.0/8", "10.0.0.1/8"): [("R209", 8)],
    f"{MESSAGES}          certificates: [lab.example.org]\n": [("R211", 9)],
    f"{MESSAGES}        - application: LAB\n          facility: A\n": [("R210", 9)],
    "servers:\n  - base: ftp://fhir.example.org\n": [("R202", 2)],
    "servers:\n  - base: fhir.example.org\n": [("R202", 2)],
    "servers:\n  - base: http://fhir.example.org\n": [("R202", 2)],
    "servers:\n  - base: https://10.0.0.1/r4\n": [("R202", 2)],
    "servers:\n  - base: http://127.0.0.1:8090/fhir\n": [("R202", 2)],
    "servers:\n  - base: https://x@fhir.example.org/\n": [("R202", 2)],
    f"servers:\n  - base: {BASE}\n  - base: {BASE}/\n": [("R201", 3)],
    f"servers:\n  - base: {BASE}\n    scopes: a\n    algorithm: ES384\n": [
        ("R203", 3),
        ("R203", 4),
    ],
    f"servers:\n  - base: {BASE}\n    own access for hooks: yes\n": [("R203", 3)],
    f"servers:\n  - base: {BASE}\n    algorithm: HS256\n    client id: a\n": [("K106", 3)],
    f"servers:\n  - base: {BASE}\n    anonymous: maybe\n": [("K106", 3)],
    f"servers:\n  - base: {BASE}\n    name: two words\n": [("R205", 3)],
    f"servers:\n  - base: {BASE}\n    name: -\u00e9\n": [("R205", 3)],
    f"servers:\n  - base: {BASE}\n    name: a\n  - base: {BASE}/2\n    name: a\n": [("R204", 5)],
    **{
        f"servers:\n  - base: {BASE}\n    subscriptions:\n      {line}\n": [(code, 4)]
        for line, code in {
            "content: everything": "K106",
            "write back: yes": "K106",
            "owner: Patient/1": "R206",
            "owner: Organization": "R206",
            "owner: https://other.example/Organization/1": "R206",
            "settling seconds: soon": "K106",
            "settling seconds: 601": "R207",
            "topic: results": "R208",
            "advice as: Appointment": "K106",
            "fhir version: R3": "K106",
            "write-back: on": "K104",
        }.items()
    },
}


@pytest.mark.parametrize("text", WRONG)
def test_what_is_wrong_is_told_with_its_line(tmp_path: Path, text: str) -> None:
    found, problems = read_servers(written(tmp_path, text), development=False)

    assert found is None
    assert sorted((problem.code, problem.mark.line) for problem in problems) == WRONG[text]


def test_every_code_of_the_file_has_a_wrong_example() -> None:
    seen = {code for problems in WRONG.values() for code, _ in problems}

    assert set(CODES) <= seen


@pytest.mark.parametrize(
    "text", ["", "servers: []\n", "servers:\n  - {}\n", "a: [", "servers: 7\n", "base: x\n"]
)
def test_a_file_of_another_form_is_refused_with_all_its_problems(tmp_path: Path, text: str) -> None:
    with pytest.raises(SettingsError, match="CDS_FHIR_SERVERS"):
        load_servers(written(tmp_path, text), development=False)


@given(text=st.text())
def test_any_text_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = tmp_path_factory.mktemp("any") / "servers.yaml"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))

    found, problems = read_servers(path, development=False)

    assert (found is None) == bool(problems)


def test_a_server_on_this_machine_is_named_as_such(tmp_path: Path) -> None:
    text = "servers:\n  - base: http://127.0.0.1:8090/fhir\n    this machine: yes\n"

    found = load_servers(written(tmp_path, text), development=False)

    assert found.find("http://127.0.0.1:8090/fhir/") is not None


def test_in_production_only_what_is_listed_may_be_asked() -> None:
    servers = Servers(listed={BASE: Server(base=BASE)})

    assert servers.find(f"{BASE}/") is not None
    assert servers.find("https://other.example/r4") is None
    assert Servers().find(BASE) is None


def test_in_development_any_server_may_be_asked() -> None:
    found = Servers(development=True).for_call("http://10.0.0.1/fhir", None)

    assert found == Server(base="http://10.0.0.1/fhir", policy=ANYWHERE, anonymous=True)


def test_ch_fa_006_a_client_has_only_its_own_servers_asked() -> None:
    other = "https://other.example/r4"
    servers = Servers(listed={other: Server(base=other)})

    assert servers.for_call(other, CLIENT) is None
    assert servers.for_call(other, replace(CLIENT, fhir_servers=frozenset())) is None
    assert servers.for_call(f"{BASE}/", CLIENT) == Server(base=BASE)
    assert servers.for_call(BASE, replace(CLIENT, private_network=True)) == Server(
        base=BASE, policy=AddressPolicy(private=True)
    )


def test_what_the_file_says_counts_for_a_server_of_a_client_too() -> None:
    listed = Server(base=BASE, anonymous=True, policy=AddressPolicy(private=True))

    assert Servers(listed={BASE: listed}).for_call(BASE, CLIENT) is listed


@pytest.mark.parametrize(
    ("base", "may"),
    [
        (BASE, True),
        ("http://127.0.0.1:8090/fhir", True),
        ("http://localhost/fhir", True),
        ("http://[::1]/fhir", True),
        ("http://fhir.example.org/r4", False),
        ("http://10.0.0.1/fhir", False),
    ],
)
def test_ch_req_007_a_token_is_not_sent_in_the_clear_over_a_network(base: str, may: bool) -> None:
    assert Server(base=base).may_see_token is may


GUIDE = (ROOT / "docs" / "how-to" / "connect-a-fhir-server.md").read_text(encoding="utf-8")


def test_the_example_of_the_guide_is_a_file_of_servers(tmp_path: Path) -> None:
    example = GUIDE.partition("```yaml\n")[2].partition("```")[0]

    assert len(load_servers(written(tmp_path, example), development=False).listed) == 3


def test_the_guide_explains_every_key() -> None:
    explained = re.findall(r"^\| `([a-z0-9 ]+)` \|", GUIDE, re.MULTILINE)

    assert explained == [name.replace("_", " ") for name in ServerShape.model_fields]


def test_the_guide_explains_every_key_of_subscriptions() -> None:
    explained = re.findall(r"^\| > `([a-z ]+)` \|", GUIDE, re.MULTILINE)

    assert explained == [name.replace("_", " ") for name in SubscriptionShape.model_fields]


def test_a_server_is_found_by_its_name_or_its_base() -> None:
    listed = Server(base=BASE, name="general")
    servers = Servers(listed={BASE: listed})

    assert servers.named("general") is listed
    assert servers.named(f"{BASE}/") is listed
    assert servers.named("other") is None


@pytest.mark.parametrize("text", ["", "other", "https://user@x/"])
def test_what_names_no_server_finds_none_in_development_either(text: str) -> None:
    assert Servers(development=True).named(text) is None
