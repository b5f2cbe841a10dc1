# SPDX-License-Identifier: Apache-2.0
"""An overridden card stays silent, for the same patient, rule and index result and no more."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from pydantic import SecretStr
from sqlalchemy import delete, select

from cds_service.copying import replace
from cds_service.settings import Settings
from cds_service.store.store import Override
from cds_service.store.tables import cards_shown, feedback
from cds_service.web import create_app
from tests.feedback.service import FEEDBACK, KEY, Clinic, clinic, item, rule_of
from tests.trust.signing import ISSUER, URL, es384, registration, rs384, site
from tests.web.http_fixtures import (
    ALT,
    BILIRUBIN,
    NOW,
    PATIENT,
    SERVICE,
    Json,
    bundle,
    call,
    client,
    explained,
    founding,
    knowledge,
    observation,
    patient,
)

OVER_1000 = "alt-over-1000"


@pytest.fixture(name="place")
def _place(database: str) -> Iterator[Clinic]:
    place = clinic(database)
    yield place
    place.close()


@pytest.fixture(name="small")
def _small() -> Iterator[Clinic]:
    """A service whose kind of database does not matter."""
    place = clinic("sqlite://")
    yield place
    place.close()


def told(answer: Json, rule: str) -> Json:
    rules = answer["extension"]["org.cds-service.explanation"]["rules"]
    (found,) = (explained for explained in rules if explained["rule"] == rule)
    decision: Json = found
    return decision


def test_an_overridden_card_is_silent_and_explain_says_so(place: Clinic) -> None:
    place.override(place.call()["cards"])

    answer = place.call(explained(founding()))

    assert answer["cards"] == []
    decision = told(answer, "alt-very-low")
    assert (decision["answer"], decision["because"]) == ("no card", "overridden")
    assert {withheld["because"] for withheld in decision["withheld"]} == {"overridden"}
    assert "orders" not in decision


def test_it_speaks_again_after_the_time_that_is_set(place: Clinic) -> None:
    place.override(place.call()["cards"])

    place.wait(days=29, hours=23)
    assert place.rules() == []
    place.wait(hours=2)
    assert place.rules() == ["alt-very-low"]


def test_an_accepted_card_is_not_silenced(place: Clinic) -> None:
    (card,) = place.call()["cards"]

    place.send(item(card["uuid"], "accepted", acceptedSuggestions=[{"id": "s"}]))

    assert place.rules() == ["alt-very-low"]


def test_an_ignored_card_is_not_silenced(place: Clinic) -> None:
    assert [place.rules() for _ in range(3)] == [["alt-very-low"]] * 3


@pytest.mark.parametrize(
    "changed",
    [
        {"id": "another"},
        {"value": 2},
        {"unit": "IU/L"},
        {"effectiveDateTime": "2026-06-14T08:00:01Z"},
    ],
    ids=["id", "value", "unit", "time"],
)
def test_a_new_or_corrected_result_speaks_again(small: Clinic, changed: dict[str, Any]) -> None:
    small.override(small.call()["cards"])
    value, unit = changed.pop("value", 1), changed.pop("unit", "U/L")

    corrected = observation(ALT, value, unit, **{"status": "corrected", **changed})

    assert small.rules(call(corrected)) == ["alt-very-low"]


def test_the_same_result_in_another_spelling_of_its_time_stays_silent(small: Clinic) -> None:
    small.override(small.call()["cards"])

    same = observation(ALT, 1, effectiveDateTime="2026-06-14T10:00:00+02:00")

    assert small.rules(call(same)) == []


def test_another_patient_is_not_silenced(small: Clinic) -> None:
    small.override(small.call()["cards"])
    other = observation(ALT, 1, subject={"reference": "Patient/other"})
    body = call(other, patient=patient(id="other"))
    body["context"]["patientId"] = "other"

    assert small.rules(body) == ["alt-very-low"]


def test_the_same_id_on_another_server_is_another_patient(small: Clinic) -> None:
    first, second = ({**founding(), "fhirServer": f"https://{n}.example.org/r4"} for n in "ab")
    small.override(small.call(first)["cards"])

    assert small.rules({**first, "fhirServer": "https://a.example.org/r4/"}) == []
    assert small.rules(second) == ["alt-very-low"]


def test_another_rule_is_not_silenced(small: Clinic) -> None:
    unknown = observation(BILIRUBIN, 1, "bananas")
    answer = small.call(call(observation(ALT, 1), unknown))
    assert {rule_of(card) for card in answer["cards"]} == {"alt-very-low", "dq-results-set-aside"}
    small.override([card for card in answer["cards"] if rule_of(card) == "dq-results-set-aside"])

    assert small.rules(call(observation(ALT, 1), unknown)) == ["alt-very-low"]


def test_a_card_about_what_could_not_be_used_speaks_again_when_more_of_it_comes(
    small: Clinic,
) -> None:
    alt, bilirubin = observation(ALT, 1, "bananas"), observation(BILIRUBIN, 1, "bananas")
    small.override(small.call(call(alt))["cards"])
    assert small.rules(call(alt)) == []

    assert small.rules(call(alt, bilirubin)) == ["dq-results-set-aside"]
    assert small.rules(call(alt, medicationRequests=7)) == ["dq-results-set-aside"]


def test_a_critical_card_is_silent_for_the_same_result_only(small: Clinic) -> None:
    raised = call(observation(ALT, 2500))
    cards = small.call(raised)["cards"]
    assert [(rule_of(card), card["indicator"]) for card in cards] == [(OVER_1000, "critical")]
    small.override(cards)

    # Nor does the next best card come up in its place.
    assert small.rules(raised) == []
    higher = observation(ALT, 2600, id="next", effectiveDateTime="2026-06-15T08:00:00Z")
    assert small.rules(call(observation(ALT, 2500), higher)) == [OVER_1000]


def test_a_finding_that_is_new_speaks_through_the_card_that_replaces_it(small: Clinic) -> None:
    small.override(small.call(call(observation(ALT, 2500)))["cards"])
    jaundice = explained(call(observation(ALT, 2500), observation(BILIRUBIN, 5, "mg/dL")))

    answer = small.call(jaundice)

    assert told(answer, "hys-law-pattern")["because"] == f"replaced-by:{OVER_1000}"
    assert [rule_of(card) for card in answer["cards"]] == [OVER_1000]
    small.override(answer["cards"])
    assert small.rules(jaundice) == []


def test_a_card_that_became_more_severe_speaks_again(tmp_path: Path) -> None:
    raised = call(observation(ALT, 2500))
    url = f"sqlite:///{tmp_path / 'a.db'}"
    place = clinic(url)
    place.override(place.call()["cards"])
    place.override(place.call(raised)["cards"])
    with place.store.database.writing() as connection:  # as if other cards had been overridden
        connection.exec_driver_sql("UPDATE feedback SET indicator = 'warning'")
    place.close()

    again = clinic(url)

    assert again.rules() == []  # a milder one than was overridden
    assert again.rules(raised) == [OVER_1000]
    again.close()


def test_a_rule_of_another_version_speaks_again(small: Clinic) -> None:
    small.override(small.call()["cards"])
    known = knowledge()
    (served,) = known.services["liver-patient-view"].values()
    rules = {
        hook: tuple(
            replace(decision, rule=replace(decision.rule, version="9.9.9"))
            if decision.rule.id == "alt-very-low"
            else decision
            for decision in compiled
        )
        for hook, compiled in served.program.rules.items()
    }
    newer = replace(served, program=replace(served.program, rules=rules))
    services = {**known.services, "liver-patient-view": {"patient-view": newer}}
    app = create_app(
        Settings(hash_key=SecretStr("a key of tests, long enough to be one")),
        clock=lambda: NOW,
        knowledge=replace(known, services=services),
        store=small.store,
    )

    small.http = app.test_client()

    assert small.rules() == ["alt-very-low"]


def test_an_override_is_remembered_after_a_restart_with_the_same_key(database: str) -> None:
    first = clinic(database)
    first.override(first.call()["cards"])
    first.close()

    same, other = clinic(database), clinic(database, hash_key=SecretStr("another key " * 4))
    other.calls = 100

    assert same.rules() == []
    assert other.rules() == ["alt-very-low"]
    same.close()
    other.close()


def test_silence_can_be_switched_off() -> None:
    place = clinic("sqlite://", silence_days=0)
    place.override(place.call()["cards"])

    assert place.rules() == ["alt-very-low"]
    place.close()


def test_a_client_that_repeats_its_hook_instance_for_another_result_gets_another_uuid() -> None:
    http = client(Settings(database_url=SecretStr("sqlite://")))
    (card,) = (http.post(SERVICE, json=founding()).json or {})["cards"]
    (other,) = (http.post(SERVICE, json=call(observation(ALT, 2))).json or {})["cards"]
    assert card["uuid"] != other["uuid"]
    http.post(FEEDBACK, json={"feedback": [item(card["uuid"])]})

    silent = http.post(SERVICE, json=founding()).json or {}
    speaks = http.post(SERVICE, json=call(observation(ALT, 2))).json or {}

    assert (len(silent["cards"]), len(speaks["cards"])) == (0, 1)


def test_a_part_of_the_results_with_an_overridden_card_is_no_412(small: Clinic) -> None:
    part = bundle(observation(ALT, 1))
    part["link"] = [{"relation": "next", "url": "https://ehr.example.org/next"}]
    small.override(small.call(call(observations=part))["cards"])

    assert small.rules(call(observations=part)) == []


def test_an_override_of_one_client_is_not_one_of_another(tmp_path: Path) -> None:
    clients = (
        registration(),
        registration(id="other", issuer="https://other.example.org", keys=[rs384("o").jwk]),
    )
    place = site(tmp_path, *clients, hash_key=SecretStr(KEY), quiet=False)
    other = "https://other.example.org"

    def ask(signer: Any, issuer: str, body: Json, path: str = SERVICE) -> Json:
        aud = URL.removesuffix(SERVICE) + path
        token = signer.token(iss=issuer, aud=aud)
        response = place.http.post(path, json=body, headers={"Authorization": f"Bearer {token}"})
        assert response.status_code == 200, response.text
        answer: Json = response.json or {}
        return answer

    def body(number: int) -> Json:
        return {**founding(), "hookInstance": f"d1577c69-dfbe-44ad-ba6d-{number:012}"}

    (card,) = ask(es384(), ISSUER, body(1))["cards"]
    ask(rs384("o"), other, {"feedback": [item(card["uuid"])]}, FEEDBACK)
    assert ask(es384(), ISSUER, body(2))["cards"] != []
    ask(es384(), ISSUER, {"feedback": [item(card["uuid"])]}, FEEDBACK)
    assert ask(es384(), ISSUER, body(3))["cards"] == []
    assert ask(rs384("o"), other, body(4))["cards"] != []


def test_without_a_key_a_service_for_others_silences_nothing(tmp_path: Path) -> None:
    place = site(tmp_path)

    def send(path: str, body: Json) -> Json:
        token = es384().token(aud=URL.removesuffix(SERVICE) + path)
        response = place.http.post(path, json=body, headers={"Authorization": f"Bearer {token}"})
        assert response.status_code == 200, response.text
        answer: Json = response.json or {}
        return answer

    (card,) = send(SERVICE, founding())["cards"]
    send(FEEDBACK, {"feedback": [item(card["uuid"])]})

    assert send(SERVICE, {**founding(), "hookInstance": PATIENT_INSTANCE})["cards"] != []


PATIENT_INSTANCE = f"d1577c69-dfbe-44ad-ba6d-{PATIENT:0>12}"


def test_r1_what_one_process_is_told_the_others_follow(database: str) -> None:
    first, second = clinic(database), clinic(database)
    second.calls = 100
    cards = first.call()["cards"]
    assert second.rules() == ["alt-very-low"]

    second.override(cards)  # the feedback may come to another process than the call

    assert second.rules() == []
    first.flush()
    assert first.rules() == []
    first.close()
    second.close()


def test_what_a_transaction_that_ended_late_brought_is_followed_too(
    small: Clinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PostgreSQL gives an id when a row is added, and shows the row when its transaction ends."""
    (card,) = small.call()["cards"]
    other = small.call(call(observation(ALT, 2500)))["cards"]
    hidden: list[str] = [card["uuid"]]
    whole = small.store.overrides

    def seen(**asked: Any) -> tuple[Override, ...]:
        with small.store.database.reading() as connection:
            late = connection.execute(
                select(feedback.c.subject).where(feedback.c.card.in_(hidden))
            ).scalars()
            subjects = {bytes(subject) for subject in late}
        return tuple(
            override for override in whole(**asked) if override.origin.subject not in subjects
        )

    monkeypatch.setattr(small.store, "overrides", seen)
    told = clinic_over(small)
    small.override([card])
    small.override(other)
    told.flush()
    assert told.rules(call(observation(ALT, 2500))) == []
    assert told.rules() == ["alt-very-low"]

    hidden.clear()
    told.flush()

    assert told.rules() == []


def test_ids_that_begin_again_are_noticed(small: Clinic) -> None:
    """SQLite gives an id again when the newest rows were removed."""
    told = clinic_over(small)
    small.send(*(item(f"card-{n}") for n in range(5)))
    (card,) = small.call()["cards"]
    told.flush()
    with small.store.database.writing() as connection:
        connection.execute(delete(feedback))
    small.override([card])

    told.flush()

    assert told.rules() == []


def test_an_override_that_was_removed_is_forgotten_at_the_next_start(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'a.db'}"
    first = clinic(url)
    first.override(first.call()["cards"])
    with first.store.database.writing() as connection:
        connection.execute(delete(feedback))
    first.close()

    second = clinic(url)

    assert second.rules() == ["alt-very-low"]
    second.close()


def test_feedback_on_a_card_of_another_process_finds_its_rule(database: str) -> None:
    first, second = clinic(database), clinic(database)
    (card,) = first.call()["cards"]
    first.close()

    second.override([card])

    (rule,) = (second.http.get("/feedback?format=json").json or {})["rules"]
    assert (rule["rule"], rule["shown"], rule["overridden"]) == ("alt-very-low", 1, 1)
    second.close()


def test_feedback_on_a_card_of_an_older_version_finds_its_rule(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'a.db'}"
    known = knowledge()
    older = tuple(
        replace(
            pack, rules={name: replace(rule, version="0.0.9") for name, rule in pack.rules.items()}
        )
        for pack in known.packs
    )
    first = clinic(url)
    (card,) = first.call()["cards"]
    first.close()
    settings = Settings(database_url=SecretStr(url), hash_key=SecretStr(KEY))
    app = create_app(settings, clock=lambda: NOW, knowledge=replace(known, packs=older))

    response = app.test_client().post(FEEDBACK, json={"feedback": [item(card["uuid"])]})

    assert response.status_code == 200
    counts = app.test_client().get("/metrics").text.splitlines()
    assert 'cds_feedback_total{outcome="overridden",rule="alt-very-low"} 1.0' in counts
    app.extensions["memory"].close()


def test_a_card_that_had_a_row_before_uuids_said_what_it_was_is_silenced(small: Clinic) -> None:
    (card,) = small.call()["cards"]
    uuid = "4e0a3a1e-3283-5575-ab82-028d55fe2719"
    with small.store.database.writing() as connection:
        connection.execute(
            cards_shown.insert(),
            {
                **dict.fromkeys(("client", "pack_version", "service", "hook"), ""),
                "card": uuid,
                "pack": "liver",
                "rule": "alt-very-low",
                "version": knowledge().packs[0].rules["alt-very-low"].version,
                "indicator": "info",
                "shown": NOW,
                "subject": UUID(card["uuid"]).bytes[:6] + bytes(26),
            },
        )

    small.send(item(uuid))

    assert small.rules() == []


def clinic_over(place: Clinic) -> Clinic:
    """Another process of the service."""
    settings = Settings(hash_key=SecretStr(KEY), quiet=False)
    app = create_app(
        settings, clock=lambda: place.clock[0], knowledge=knowledge(), store=place.store
    )
    return Clinic(app.test_client(), place.store, place.clock, calls=1000)
