# SPDX-License-Identifier: Apache-2.0
"""Prefetch follows from the rules, in queries that every client can run."""

import json
import re
from dataclasses import replace

import pytest

from cds_service.hooks.discovery import prefetch_of, rules_of, write_discovery
from cds_service.knowledge.model.dependencies import all_dependencies, resulted_codes
from cds_service.knowledge.model.pack import WITHOUT_RESULT, Pack
from cds_service.knowledge.model.remarks import Remarks
from tests.web.http_fixtures import empties, knowledge

(PACK,) = (pack for pack in knowledge().packs if pack.id == "liver")
SERVICE = PACK.services[0]
RULES = rules_of(SERVICE, PACK)
TOKEN = re.compile(r"{{(.*?)}}")
# CDS Hooks 2.0.1, "Prefetch query restrictions"
QUERY = re.compile(
    r"(Observation|Condition|MedicationRequest|MedicationStatement|ServiceRequest)"
    r"\?patient={{context\.patientId}}(&(code|category|status|_sort|_count)=[^&{}]+)*"
)


def prefetch(pack: Pack = PACK, *, by_category: bool = False) -> dict[str, str]:
    return prefetch_of(RULES, pack, by_category=by_category)


@pytest.mark.parametrize("by_category", [False, True])
def test_queries_stay_inside_what_every_client_can_run(by_category: bool) -> None:
    queries = prefetch(by_category=by_category)

    assert queries.pop("patient") == "Patient/{{context.patientId}}"
    assert {key for key, query in queries.items() if not QUERY.fullmatch(query)} == set()


def test_the_patient_is_the_only_token_and_no_date_is_computed() -> None:
    text = write_discovery([PACK], by_category=False).decode()

    assert set(TOKEN.findall(text)) == {"context.patientId"}
    assert "today" not in text


def test_the_keys_are_those_that_are_documented() -> None:
    assert list(prefetch()) == [
        "patient",
        "observations",
        "conditions",
        "medicationRequests",
        "medicationStatements",
        "serviceRequests",
    ]


def test_every_code_of_every_marker_that_counts_is_asked_for_newest_first() -> None:
    query = prefetch()["observations"]

    asked = re.search(r"&code=([^&]*)", query)
    assert asked is not None
    codes = {
        f"{code.system}|{code.code}"
        for name in all_dependencies(RULES, PACK).markers
        for code in (*PACK.markers[name].codes, *PACK.markers[name].codes_not_read)
    }
    resulted = {f"{system}|{code}" for system, code in resulted_codes(RULES, PACK)}
    assert set(asked[1].split(",")) == codes | resulted
    assert "http://loinc.org|28614-6" in resulted
    assert query.endswith("&_sort=-date&_count=200")


def test_every_marker_that_a_rule_reads_is_among_them() -> None:
    needed = all_dependencies(RULES, PACK)

    for rule in RULES:
        assert set(rule.about) - set(WITHOUT_RESULT) <= set(needed.markers)
    assert {"alt", "alp"} <= set(needed.markers)  # alp by way of a measure that cards show


def test_a_site_with_local_codes_asks_for_the_laboratory_category() -> None:
    query = prefetch(by_category=True)["observations"]

    category = "http://terminology.hl7.org/CodeSystem/observation-category|laboratory"
    assert f"&category={category}&" in query
    assert "code=" not in query.replace("&category=", "")


def test_nothing_is_asked_for_that_no_rule_needs() -> None:
    bare = replace(PACK.rules["alt-severe"], suggestions=(), unless=(), urgencies=(), also_say={})
    scope = replace(PACK.scope, silent_when=())
    pack = replace(PACK, measures={}, scope=scope, remarks=Remarks())

    assert set(prefetch_of([bare], pack, by_category=False)) == {"patient", "observations"}


def test_an_order_asks_for_open_orders_and_a_fact_for_its_lists() -> None:
    pack = replace(PACK, measures={}, scope=replace(PACK.scope, silent_when=()))

    queries = prefetch_of([PACK.rules["b6-lowering-drug-review"]], pack, by_category=False)

    assert "medicationRequests" in queries
    assert "serviceRequests" not in queries


def test_an_entry_says_what_happens_without_data_and_has_nothing_empty() -> None:
    body = json.loads(write_discovery([PACK], by_category=False))

    assert empties(body) == []
    assert "412" in body["services"][0]["usageRequirements"]
    for entry in body["services"]:
        assert re.fullmatch(r"[A-Za-z0-9._-]+", entry["id"])


def test_no_pack_is_no_service() -> None:
    assert write_discovery([], by_category=False) == b'{"services":[]}'
