# SPDX-License-Identifier: Apache-2.0
"""A card of a rule that says `quiet for` is not shown again to the same patient within its days."""

import json
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from pydantic import SecretStr
from sqlalchemy import func, select

from cds_service.call_context import SANDBOX
from cds_service.copying import replace
from cds_service.errors import StoreError
from cds_service.sandbox.requests import answered
from cds_service.service import Knowledge, Options
from cds_service.settings import Settings
from cds_service.store.store import ShownDay
from cds_service.store.tables import quiet_cards
from cds_service.web import create_app
from tests.feedback.service import KEY, Clinic, clinic, rule_of
from tests.trust.signing import es384, registration, rs384, site
from tests.vignettes.compare import EXAMPLES
from tests.vignettes.convert import now_of, request_of
from tests.web.http_fixtures import (
    ALT,
    NOW,
    PATIENT,
    SERVICE,
    Json,
    call,
    explained,
    founding,
    knowledge,
    observation,
)

SERVICE_ID = SERVICE.rpartition("/")[2]
RULE = "alt-very-low"  # quiet for 180 days
OVER_1000 = "alt-over-1000"
DAYS = 180


@pytest.fixture(name="place")
def _place(database: str) -> Iterator[Clinic]:
    place = clinic(database, quiet=True)
    yield place
    place.close()


@pytest.fixture(name="small")
def _small() -> Iterator[Clinic]:
    """A service whose kind of database does not matter."""
    place = clinic("sqlite://", quiet=True)
    yield place
    place.close()


def clinic_over(place: Clinic, known: Knowledge | None = None) -> Clinic:
    """Another process of the service, with the same clock."""
    settings = Settings(hash_key=SecretStr(KEY))
    app = create_app(
        settings, clock=lambda: place.clock[0], knowledge=known or knowledge(), store=place.store
    )
    return Clinic(app.test_client(), place.store, place.clock, calls=1000)


def very_low(place: Clinic) -> Json:
    """A call with an ALT of 1 U/L that was measured a day ago."""
    day = (place.clock[0] - timedelta(days=1)).isoformat()
    return call(observation(ALT, 1, effectiveDateTime=day))


def rows(place: Clinic) -> int:
    with place.store.database.reading() as connection:
        return connection.execute(select(func.count()).select_from(quiet_cards)).scalar_one()


def unsure(place: Clinic) -> str:
    lines = place.http.get("/metrics").text.splitlines()
    (line,) = (line for line in lines if line.startswith("cds_quiet_unsure_total"))
    return line.split()[-1]


def test_a_card_is_quiet_at_once_and_the_explanation_says_so(place: Clinic) -> None:
    assert place.rules() == [RULE]

    answer = place.call(explained(founding()))

    assert answer["cards"] == []
    rules = answer["extension"]["org.cds-service.explanation"]["rules"]
    (told,) = (rule for rule in rules if rule["rule"] == RULE)
    assert (told["answer"], told["because"]) == ("no card", "shown-recently")
    metrics = place.http.get("/metrics").text
    assert f'cds_cards_held_back_total{{reason="shown-recently",rule="{RULE}"}} 1.0' in metrics


def test_on_the_last_of_its_days_it_is_shown_again(small: Clinic) -> None:
    small.rules()

    small.wait(days=DAYS - 1)
    assert small.rules(very_low(small)) == []
    small.wait(days=1)
    assert small.rules(very_low(small)) == [RULE]
    assert small.rules(very_low(small)) == []


def test_days_are_those_of_the_site(small: Clinic) -> None:
    at_home = replace(knowledge(), zone=ZoneInfo("Asia/Tokyo"))  # 9 hours before UTC
    place = clinic_over(small, at_home)
    place.rules()

    place.wait(days=DAYS - 1, hours=5, minutes=59)
    assert place.rules(very_low(place)) == []
    place.wait(minutes=1)  # midnight there
    assert place.rules(very_low(place)) == [RULE]


def test_a_new_result_with_the_same_card_is_quiet_too(small: Clinic) -> None:
    small.rules()

    assert small.rules(call(observation(ALT, 2, id="another"))) == []


def test_a_critical_card_is_never_quiet(small: Clinic) -> None:
    high = call(observation(ALT, 2500))

    assert [OVER_1000 in small.rules(high) for _ in range(3)] == [True] * 3


def test_another_patient_is_shown_the_card(small: Clinic) -> None:
    small.rules()

    other = json.loads(json.dumps(founding()).replace(PATIENT, "another"))

    assert small.rules(other) == [RULE]
    assert small.rules({**founding(), "fhirServer": "https://elsewhere.example.org"}) == [RULE]


def test_another_client_is_shown_the_card(tmp_path: Path) -> None:
    second = "https://other.example.org"
    clients = (registration(), registration(id="other", issuer=second, keys=[rs384("o").jwk]))
    place = site(tmp_path, *clients, hash_key=SecretStr(KEY))

    def cards(token: str) -> int:
        headers = {"Authorization": f"Bearer {token}"}
        response = place.http.post(SERVICE, json=founding(), headers=headers)
        return len((response.json or {})["cards"])

    asked = [cards(es384().token()), cards(rs384("o").token(iss=second)), cards(es384().token())]

    assert asked == [1, 1, 0]


def test_what_one_process_shows_the_others_follow(database: str) -> None:
    first, second = clinic(database, quiet=True), clinic(database, quiet=True)
    second.calls = 100
    assert first.rules() == [RULE]
    first.flush()

    second.flush()

    assert second.rules() == []
    first.close()
    second.close()


def test_it_is_quiet_after_a_start_too(place: Clinic) -> None:
    place.rules()
    place.flush()

    assert clinic_over(place).rules() == []


def test_a_row_that_appears_after_later_ones_is_followed_too(
    small: Clinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PostgreSQL gives an id when a row is added, and shows the row when its transaction ends."""
    other = clinic_over(small)
    small.rules()
    small.flush()
    whole = small.store.shown_days
    late: list[ShownDay] = list(whole(since=date.min, at_most=10)[0])

    def seen(*, since: date, after: int = 0, at_most: int) -> tuple[tuple[ShownDay, ...], int]:
        found, last = whole(since=since, after=after, at_most=at_most)
        return tuple(subject for subject in found if subject not in late), last

    monkeypatch.setattr(small.store, "shown_days", seen)
    other.flush()
    late.clear()

    other.flush()

    assert other.rules() == []


def test_a_database_that_is_away_keeps_no_card_back_and_is_counted(
    small: Clinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = clinic_over(small)
    small.rules()
    small.flush()
    with monkeypatch.context() as away:

        def fails(*_: object, **__: object) -> None:
            raise StoreError("The database does not answer.")

        for name in ("add_counts", "add_shown_days", "newest_shown_day", "newest_feedback"):
            away.setattr(small.store, name, fails)
        other.flush()
        assert other.rules() == [RULE]
        assert unsure(other) == "1.0"
        assert other.rules() == []  # this process knows what it has shown

    other.flush()

    assert rows(small) == 1  # written once it answers: the same card, the same day
    assert unsure(small) == "0.0"


def test_without_a_key_or_turned_off_nothing_is_quiet() -> None:
    for off in ({"hash_key": None}, {"quiet": False}):
        place = clinic("sqlite://", **{"quiet": True, **off})

        assert [place.rules() for _ in range(2)] == [[RULE]] * 2
        place.flush()
        assert rows(place) == 0
        place.close()


def test_the_sandbox_neither_reads_nor_writes_it(small: Clinic) -> None:
    memory = small.http.application.extensions["memory"]
    body = json.dumps(founding()).encode()
    options = Options(memory=memory, client=SANDBOX)

    def tried() -> int:
        found = answered(
            knowledge(), SERVICE_ID, body, NOW, options, max_depth=64, max_entries=1000
        )
        return len(json.loads(found.response or b"")["cards"])

    assert [tried(), tried()] == [1, 1]
    small.flush()
    assert rows(small) == 0


def test_rows_that_keep_nothing_quiet_any_more_are_removed(small: Clinic) -> None:
    small.rules()
    small.flush()
    assert rows(small) == 1

    small.wait(days=400)
    small.flush()

    assert rows(small) == 0


def test_a_card_that_was_folded_was_not_shown(small: Clinic) -> None:
    (example,) = (vignette for vignette in EXAMPLES if vignette["id"] == "LIV-577")
    body = request_of(example)
    small.clock[0] = now_of(example)

    first, second = small.call(body)["cards"], small.call(body)["cards"]

    assert [rule_of(card) for card in first] == [
        "plp-deficient",
        "alt-very-low",
        "b6-lowering-drug-review",
    ]
    assert [rule_of(card) for card in second] == ["sulfasalazine-assay-interference"]
