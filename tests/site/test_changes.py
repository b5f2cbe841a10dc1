# SPDX-License-Identifier: Apache-2.0
"""Each kind of change, from the file to the card: it acts, and it is said to be the site's."""

from datetime import timedelta
from pathlib import Path

import pytest
from fhir.resources.R4B.servicerequest import ServiceRequest

from tests.site.site_fixtures import (
    EXAMPLE,
    answer_at,
    card_of,
    client_at,
    explanation_of,
    orders_of,
    rule_in,
    site_file,
    value,
)
from tests.web.http_fixtures import (
    ALP,
    ALT,
    AST,
    BILIRUBIN,
    NOW,
    PATIENT,
    Json,
    bundle,
    call,
    founding,
    observation,
    patient,
)

WINDOW = "Site value of General Hospital laboratory: 5 and 20 days instead of 7 and 28 days"
LIMIT = "Site value of General Hospital laboratory: 45 U/L instead of 40 U/L"
PLATELETS = "777-3"
CATALOGUE = "https://lab.example/catalogue"
ORDER_SELECT = "/cds-services/liver-order-select"


def plain(text: str) -> str:
    """A card's Markdown without the escapes of its values."""
    return text.replace("\\", "")


def day(days: int) -> str:
    return (NOW.date() + timedelta(days=days)).isoformat()


def with_limit(alt: float, upper: float) -> Json:
    return observation(ALT, alt, referenceRange=[{"high": {"value": upper, "unit": "U/L"}}])


def older(alt: float, days: int) -> Json:
    taken = (NOW - timedelta(days=days)).isoformat()
    return observation(ALT, alt, id=f"older-{days}", effectiveDateTime=taken)


def fibrosis() -> Json:
    """62 years, AST 80, ALT 50, platelets 110: a high FIB-4."""
    return call(
        observation(ALT, 50),
        observation(AST, 80),
        observation(PLATELETS, 110, "10*9/L"),
        patient=patient(birthDate="1963-10-01"),
    )


def service_request(code: str, system: str = CATALOGUE, **more: object) -> Json:
    return {
        "resourceType": "ServiceRequest",
        "id": "o",
        "status": "active",
        "intent": "order",
        "authoredOn": day(-3),
        "code": {"coding": [{"system": system, "code": code}]},
        "subject": {"reference": f"Patient/{PATIENT}"},
        **more,
    }


def test_a_window_moves_the_order_and_the_card_says_so() -> None:
    card = card_of(answer_at(EXAMPLE, call(with_limit(90, 41))), "alt-mild")

    assert card is not None
    period = orders_of(card)["Hepatic function panel"]["occurrencePeriod"]
    assert period == {"start": day(5), "end": day(20)}
    assert WINDOW in plain(card["detail"])
    assert "local guideline of March 2026" in plain(card["detail"])
    assert LIMIT not in plain(card["detail"])  # the laboratory's own was used


def test_a_limit_moves_the_answer_and_the_card_says_so() -> None:
    assert card_of(answer_at(None, call(observation(ALT, 90))), "alt-mild") is not None
    assert card_of(answer_at(EXAMPLE, call(observation(ALT, 90))), "alt-mild") is None

    card = card_of(answer_at(EXAMPLE, call(observation(ALT, 91))), "alt-mild")

    assert card is not None
    assert LIMIT in plain(card["detail"])
    assert "the upper limit of 45 U/L (a limit set by this site)" in plain(card["detail"])
    assert "fallback" not in card["detail"].replace("fallback\\-40 / use", "").split("Site")[0]


def test_a_card_that_stands_on_no_site_value_names_none() -> None:
    answer = answer_at(EXAMPLE, call(with_limit(50, 41)))

    card = card_of(answer, "alt-borderline")
    assert card is not None
    assert "Site value" not in card["detail"]
    assert "siteValues" not in rule_in(answer, "alt-borderline")


def test_the_explanation_names_the_site_its_values_and_their_rules() -> None:
    answer = answer_at(EXAMPLE, call(observation(ALT, 91)))

    site = explanation_of(answer)["site"]
    assert (site["name"], site["reviewed"]) == ("General Hospital laboratory", "2026-11-24")
    assert site["values"][1] == {
        "file": "markers/alt.yaml",
        "at": "upper limit / fallback-40 / use",
        "value": "45 U/L",
        "insteadOf": "40 U/L",
        "because": "our own reference study of 2025",
    }
    assert site["orderCodes"] == [{"order": "repeat-alt", "system": CATALOGUE, "code": "4711"}]
    said = rule_in(answer, "alt-mild")["siteValues"]
    assert [sentence.partition(" (")[0] for sentence in said] == [WINDOW, LIMIT]


def test_an_answer_without_a_card_names_the_limit_too() -> None:
    said = rule_in(answer_at(EXAMPLE, call(observation(ALT, 44))), "alt-borderline")

    assert said["answer"] == "no card"
    assert [sentence.partition(" (")[0] for sentence in said["siteValues"]] == [LIMIT]


def test_a_rule_that_is_off_is_not_evaluated_and_is_listed() -> None:
    assert card_of(answer_at(None, fibrosis()), "fib4-high") is not None

    answer = answer_at(EXAMPLE, fibrosis())

    assert card_of(answer, "fib4-high") is None
    assert rule_in(answer, "fib4-high") == {
        "rule": "fib4-high",
        "version": "1.2.0",
        "answer": "no card",
        "because": "switched off by the site",
    }
    (off,) = explanation_of(answer)["site"]["switchedOff"]
    assert off["because"] == "The clinic has a fibrosis pathway of its own."


def test_an_order_carries_the_code_of_the_site_before_loinc() -> None:
    card = card_of(answer_at(EXAMPLE, founding()), "alt-very-low")

    assert card is not None
    resource = orders_of(card)["Alanine aminotransferase (ALT), serum or plasma"]
    assert resource["code"]["coding"][0] == {
        "system": CATALOGUE,
        "code": "4711",
        "display": "ALT (serum)",
    }
    assert resource["code"]["coding"][1]["code"] == ALT
    assert ServiceRequest.model_validate(resource).status == "draft"
    assert "Site code of General Hospital laboratory for Repeat ALT: 4711" in plain(card["detail"])


def test_the_code_of_the_site_counts_as_ordered() -> None:
    ordered = {"serviceRequests": bundle(service_request("4711"))}

    for path, withheld in ((EXAMPLE, True), (None, False)):
        answer = answer_at(path, call(observation(ALT, 1), **ordered))
        found = {"order": "repeat-alt", "because": "active-order-exists"}
        assert (found in rule_in(answer, "alt-very-low").get("withheld", [])) is withheld


def test_the_code_of_the_site_is_known_where_orders_are_made() -> None:
    draft = service_request("4711", status="draft", id="draft")
    body = {
        **call(observation(ALT, 60)),
        "hook": "order-select",
        "context": {
            "userId": "Practitioner/example",
            "patientId": PATIENT,
            "selections": ["ServiceRequest/draft"],
            "draftOrders": bundle(draft),
        },
    }

    assert card_of(answer_at(EXAMPLE, body, ORDER_SELECT), "panel-instead-of-alt") is not None
    assert card_of(answer_at(None, body, ORDER_SELECT), "panel-instead-of-alt") is None


def test_a_priority_of_the_site(tmp_path: Path) -> None:
    place = "suggest / line 2 / priority"
    path = site_file(
        tmp_path, "values:\n" + value("rules/alt-mild.yaml", place, "urgent", "routine")
    )

    card = card_of(answer_at(path, call(observation(ALT, 90))), "alt-mild")

    assert orders_of(card)["Hepatic function panel"]["priority"] == "urgent"
    assert card is not None
    assert "urgent instead of routine" in plain(card["detail"])


def test_a_threshold_of_the_site(tmp_path: Path) -> None:
    changed = value("rules/alt-very-low.yaml", "when / alt", "below 7 U/L", "below 5 U/L")
    path = site_file(tmp_path, f"values:\n{changed}")
    body = call(observation(ALT, 6))

    assert card_of(answer_at(None, body), "alt-very-low") is None
    card = card_of(answer_at(path, body), "alt-very-low")
    assert card is not None
    assert "below 7 U/L instead of below 5 U/L" in plain(card["detail"])


@pytest.mark.parametrize(
    ("file", "at", "to", "instead_of", "results", "rule"),
    [
        (
            "pack.yaml",
            "scope / index no older than",
            "60 days",
            "90 days",
            [older(60, 70)],
            "alt-borderline",
        ),
        (
            "markers/alt.yaml",
            "plausible",
            "0 to 500 U/L",
            "0 to 50000 U/L",
            [observation(ALT, 501)],
            "alt-moderate",
        ),
        (
            "measures/fib-4.yaml",
            "not computed / age-35-or-under / age",
            "below 70 years",
            "below 36 years",
            [observation(ALT, 50), observation(AST, 80), observation(PLATELETS, 110, "10*9/L")],
            "fib4-high",
        ),
    ],
)
def test_a_value_of_a_shared_file(
    file: str,
    at: str,
    to: str,
    instead_of: str,
    results: list[Json],
    rule: str,
    tmp_path: Path,
) -> None:
    path = site_file(tmp_path, "values:\n" + value(file, at, to, instead_of))
    body = call(*results)

    assert card_of(answer_at(None, body), rule) is not None
    answer = answer_at(path, body)
    assert card_of(answer, rule) is None
    (said,) = rule_in(answer, rule)["siteValues"]
    assert f"{to} instead of {instead_of} ({file}, {at}; Invented.)" in said


def test_a_pairing_of_the_site(tmp_path: Path) -> None:
    changed = value(
        "markers/total-bilirubin.yaml",
        "pairs",
        "within 12 hours of the index",
        "within 72 hours of the index",
    )
    path = site_file(tmp_path, f"values:\n{changed}")
    taken = "2026-06-13T08:00:00Z"
    body = call(
        observation(ALT, 400),
        observation(ALP, 110, referenceRange=[{"high": {"value": 120, "unit": "U/L"}}]),
        observation(BILIRUBIN, 4.1, "mg/dL", effectiveDateTime=taken),
    )

    assert card_of(answer_at(None, body), "hys-law-pattern") is not None
    assert card_of(answer_at(path, body), "hys-law-pattern") is None


def test_a_site_that_changes_nothing_changes_no_card(tmp_path: Path) -> None:
    path = site_file(tmp_path, "")

    assert answer_at(path, founding())["cards"] == answer_at(None, founding())["cards"]


def test_without_a_site_file_nothing_speaks_of_a_site() -> None:
    answer = answer_at(None, founding())

    assert "site" not in explanation_of(answer)
    assert "ite value" not in str(answer)
    assert "witched off by" not in client_at(None).get("/cds-services").text
