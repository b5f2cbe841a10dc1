# SPDX-License-Identifier: Apache-2.0
"""`cds-service burden` of exports: encounters, groups, small counts, changes, processes."""

import json
import random
import shutil
from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from cds_service.cli.burden import burden
from cds_service.cli.check import check
from cds_service.cli.check_burden import check_burden
from cds_service.errors import RequestError
from cds_service.knowledge.site.file import read_site
from cds_service.screening.engine import Engine
from cds_service.screening.people import SexAndAge, person_of
from cds_service.screening.views import CardsEdition, ViewMoment
from cds_service.service import load_knowledge
from cds_service.settings import Settings
from cds_service.sources.file import inputs_from_document, read_resources
from cds_service.trials.site_check import SiteReport
from tests.screening.exports import DAY, Json, ndjson, person, result
from tests.screening.people import MOMENT, Randomly

ROOT = Path(__file__).parents[2]
SEVEN_DAYS = ("--over", "7")  # from 14 to 20 November


def encounter(name: str, patient: str, start: str | None, end: str | None, **more: Any) -> Json:
    """A stay that has ended, or goes on."""
    period = {key: time for key, time in (("start", start), ("end", end)) if time}
    return {
        "resourceType": "Encounter",
        "id": name,
        "status": "finished" if end else "in-progress",
        "subject": {"reference": f"Patient/{patient}"},
        "period": period,
        **more,
    }


def at(place: str, since: str | None = None) -> Json:
    """A location of an encounter."""
    period = {"period": {"start": since}} if since else {}
    return {"location": {"display": place}, **period}


def export(folder: Path, encounters: Sequence[Json], count: int = 10) -> Path:
    """Men of 56 with the low ALT of 19 November, the last of them with 30."""
    folder.mkdir()
    names = [f"p{number}" for number in range(count)]
    ndjson(folder / "Patient.ndjson", [person(name) for name in names])
    low = [result(f"o{name}", f"Patient/{name}") for name in names[:-1]]
    ndjson(folder / "Observation.ndjson", [*low, result("high", f"Patient/{names[-1]}", 30)])
    if encounters:
        ndjson(folder / "Encounter.ndjson", encounters)
    return folder


def told(source: Path, *words: object, day: str = DAY) -> Json:
    """What `--json` says at the end of a day."""
    asked = [source, "--as-of", day, "--json", *words]
    done = CliRunner().invoke(burden, [str(word) for word in asked], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    found: Json = json.loads(done.stdout)
    return found


@pytest.fixture(name="other_cards")
def _other_cards(tmp_path: Path) -> Path:
    """The cards without one that an ALT of 2 has."""
    shutil.copytree(ROOT / "cards", tmp_path / "cards")
    rule = tmp_path / "cards/liver/rules/alt-very-low.yaml"
    rule.write_text(rule.read_text().replace("below 5 U/L\nunless", "below 1 U/L\nunless"))
    return tmp_path / "cards"


def test_cards_are_counted_for_a_thousand_patients(tmp_path: Path) -> None:
    found = told(export(tmp_path / "e", []))

    assert found["patients"] == 10
    assert found["now"]["patientsWithCard"] == 9
    assert found["now"]["per1000Patients"] == 900
    assert found["now"]["per100Encounters"] is None
    assert found["encountersNotKnown"] == "SOURCE has no Encounter"


def test_a_chart_is_opened_once_on_each_day_and_quiet_cards_are_quiet(tmp_path: Path) -> None:
    stays = [
        encounter("1", "p0", "2026-11-18T23:00:00Z", "2026-11-20T01:00:00Z"),
        encounter("2", "p0", "2026-11-19T08:00:00Z", "2026-11-19T09:00:00Z"),  # the same day
        encounter("3", "p1", "2026-11-10", None),  # goes on: seven days of these
        encounter("4", "p2", "2026-11-01T08:00:00Z", "2026-11-02T09:00:00Z"),  # before
    ]

    found = told(export(tmp_path / "e", stays), *SEVEN_DAYS)

    assert found["encounters"] == {
        "first": "2026-11-14",
        "last": "2026-11-20",
        "days": 7,
        "encounters": 3,
        "chartsOpened": 3 + 7,
        "withoutPeriod": 0,
        "withoutPatient": 0,
    }
    # Each of the two sees the card on the 19th, not before the result, and not again on the 20th.
    assert found["now"]["cardsAtEncounters"] == 2
    assert found["now"]["per100Encounters"] == pytest.approx(66.67)
    assert found["now"]["cardsADay"] == pytest.approx(2 / 7, abs=0.01)
    assert found["now"]["busiestDay"] == {"day": "2026-11-19", "cards": 2}
    (quiet,) = found["now"]["notShown"]["quietDays"]
    assert (quiet["rule"], quiet["chartsOpened"]) == ("alt-very-low", 2)


def test_a_card_counts_on_the_day_of_the_encounter_though_its_result_is_too_old_now(
    tmp_path: Path,
) -> None:
    source = export(tmp_path / "e", [encounter("1", "p0", "2026-10-30", "2026-10-30")])
    old = result("old", "Patient/p0", effectiveDateTime="2026-08-10T08:00:00Z")
    ndjson(source / "Observation.ndjson", [old])

    found = told(source)["now"]

    assert (found["cards"], found["cardsAtEncounters"]) == (0, 1)


def test_what_did_not_take_place_or_has_no_period_is_not_counted(tmp_path: Path) -> None:
    stays = [
        encounter("1", "p0", "2026-11-19", "2026-11-19", status="cancelled"),
        encounter("2", "p0", "2026-11-19", "2026-11-19", status="planned"),
        encounter("3", "p0", None, None),
        encounter("4", "p0", "last week", "2026-11-19"),
        encounter("5", "nobody", "2026-11-19", "2026-11-19"),
        encounter("6", "p1", "2026-11-19", "2026-11-19"),
        {key: value for key, value in encounter("7", "", DAY, DAY).items() if key != "subject"},
    ]

    found = told(export(tmp_path / "e", stays))["encounters"]

    assert (found["encounters"], found["chartsOpened"], found["withoutPeriod"]) == (1, 1, 2)
    assert found["withoutPatient"] == 2


def test_a_day_counts_for_the_ward_that_the_patient_had_come_to(tmp_path: Path) -> None:
    clinic = {"reference": "Organization/1"}
    moves = [at("ED"), at("North", "2026-11-19T10:00:00Z"), at("South", "2026-11-20T10:00:00Z")]
    stays = [
        *(
            encounter(f"a{n}", f"p{n}", "2026-11-18", "2026-11-20", location=moves)
            for n in range(6)
        ),
        encounter("b", "p6", "2026-11-19", "2026-11-19", serviceProvider=clinic),
        encounter("c", "p7", "2026-11-19", "2026-11-19", serviceProvider=clinic),
        encounter("d", "p8", "2026-11-19", "2026-11-19"),
    ]

    wards = {row["ward"]: row for row in told(export(tmp_path / "e", stays))["now"]["ward"]}

    assert wards["North"] == {
        "ward": "North",
        "encounters": 6,
        "patientsWithCard": 6,
        "cards": 6,
        "per100Encounters": 100,
    }
    assert wards["ED"]["cards"] == wards["South"]["cards"] == 0
    # Two and one are few; together they hide each other.
    hidden = {"encounters": "<5", "patientsWithCard": "<5", "cards": "-", "per100Encounters": "-"}
    assert wards["Organization/1"] == {"ward": "Organization/1", **hidden}
    assert wards["unknown"] == {"ward": "unknown", **hidden}


def other_identity(folder: Path) -> Path:
    """Someone whose only result names another by number."""
    of_one, of_another = ({"identifier": {"system": "urn:mrn", "value": number}} for number in "12")
    subject = {"reference": "Patient/two", **of_another}
    patient = person("two", identifier=[of_one["identifier"]])
    return ndjson(folder / "other.ndjson", [patient, result("r", None, subject=subject)])


def test_one_patient_whose_results_name_another_does_not_end_the_count(tmp_path: Path) -> None:
    source = export(tmp_path / "e", [])
    other_identity(source)

    found = told(source)["now"]

    assert found["notDecided"] == {"Expected results of the patient; these are all of another.": 1}
    assert found["rules"][0]["cards"] == 9


def test_rows_of_few_people_in_all_would_name_their_sex_and_age(tmp_path: Path) -> None:
    stays = [encounter("a", "p0", "2026-11-19", "2026-11-19", location=[at("North")])]
    found = told(export(tmp_path / "e", stays, count=4))["now"]

    assert found["sex"] == found["age"] == found["ward"] == []


def test_few_people_of_a_sex_or_an_age_are_hidden(tmp_path: Path) -> None:
    source = export(tmp_path / "e", [], count=20)
    people = [person(f"p{n}", gender="female" if n < 3 else "male") for n in range(20)]
    people[0] = person("p0", gender="female", birthDate="1940")
    ndjson(source / "Patient.ndjson", people[:-1])

    found = told(source)["now"]

    assert [(row["sex"], row["patients"], row["cards"]) for row in found["sex"]] == [
        ("female", "<5", "-"),
        ("male", 16, "-"),
        ("unknown", "<5", 0),
    ]
    assert [(row["age"], row["patients"]) for row in found["age"]] == [
        ("40-64", "-"),
        ("80+", "<5"),
        ("unknown", "<5"),
    ]
    assert found["rules"][0]["cards"] == 19


@pytest.mark.parametrize(
    ("birth", "band"),
    [
        ("2008-11-20", "18-39"),
        ("2008-11-21", "0-17"),
        ("1946-11-20", "80+"),
        ("1986-10", "40-64"),
        ("1985", "40-64"),
        ("1986", "unknown"),  # 39 or 40
        ("2008-11", "unknown"),  # 17 or 18
        ("2027-01-01", "unknown"),
        ("1800-01-01", "unknown"),
        ("soon", "unknown"),
        (None, "unknown"),
    ],
)
def test_the_band_is_that_of_the_age_on_the_day(birth: str | None, band: str) -> None:
    assert person_of("male", birth, date(2026, 11, 20)) == SexAndAge("male", band)


def test_each_change_is_written_with_its_reason(tmp_path: Path, other_cards: Path) -> None:
    source, out = export(tmp_path / "e", []), tmp_path / "out"

    found = told(source, "--cards", ROOT / "cards", other_cards, "--out", out, "--ids")

    lines = [json.loads(line) for line in (out / "changes.ndjson").read_text().splitlines()]
    assert found["changes"]["patients"] == len(lines) == 9
    assert found["changes"]["rules"] == [{"rule": "alt-very-low", "change": "removed", "views": 9}]
    assert min(lines, key=lambda line: line["patient"]) == {
        "patient": "p0",
        "time": "2026-11-20T23:59:59.999000+00:00",
        "change": "removed",
        "rule": "alt-very-low",
        "old": {"indicator": "info", "because": ["alt: below 5 U/L"]},
        "new": {"because": ["condition-not-met: alt: below 1 U/L"]},
    }
    assert len({change["patient"] for change in found["changes"]["first"]}) == 5
    with pytest.raises(RequestError, match=r"There is a changes\.ndjson in out already"):
        told(source, "--cards", ROOT / "cards", other_cards, "--out", out)


def test_what_a_rule_would_have_to_know_is_told_as_that() -> None:
    knowledge = load_knowledge(Settings(cards=ROOT / "cards"))
    given = inputs_from_document(read_resources(json.dumps(result("o", "Patient/p", 220)).encode()))
    moment = ViewMoment(MOMENT, cut=False)

    (view,) = CardsEdition(knowledge, "patient-view").views("p", given[0], [moment])

    unknown = [
        decision for decision in view.decisions if not decision.shown and decision.because is None
    ]
    assert unknown
    for decision in unknown:
        reasons = view.reasons(decision.rule.id)
        assert reasons == [f"not known: {leaf.in_words()}" for leaf in decision.missing]


def test_a_patient_is_kept_whom_only_one_edition_needs(tmp_path: Path, other_cards: Path) -> None:
    source = export(tmp_path / "e", [])

    for sides in ((ROOT / "cards", other_cards), (other_cards, ROOT / "cards")):
        found = told(source, "--cards", *sides)
        assert {found["old"]["cards"], found["new"]["cards"]} == {0, 9}


@pytest.mark.slow
def test_processes_count_the_same_as_one(
    tmp_path: Path, other_cards: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stays: list[Json] = [encounter("1", "p0", "2026-11-18", "2026-11-20")]
    words = (export(tmp_path / "e", stays), "--cards", ROOT / "cards", other_cards, "--ids")
    alone = told(*words)
    monkeypatch.setattr("cds_service.screening.burden.FEW", 0)

    assert told(*words, "--workers", "2") == alone


def test_a_source_may_have_an_export_and_requests(tmp_path: Path) -> None:
    source = export(tmp_path / "e", [])
    request = {
        "hook": "patient-view",
        "hookInstance": "d1577c69-dfbe-44ad-ba6d-3e05e953b2ea",
        "context": {"userId": "Practitioner/1", "patientId": "r"},
        "prefetch": {
            "patient": person("r", gender="female"),
            "observations": {
                "resourceType": "Bundle",
                "type": "searchset",
                "entry": [{"resource": result("r", "Patient/r")}],
            },
        },
    }
    (source / "r.json").write_text(json.dumps(request))

    found = told(source)

    assert (found["patients"], found["now"]["cards"]) == (11, 10)
    assert [row["sex"] for row in found["now"]["sex"]] == ["female", "male"]


def test_nobody_who_is_not_decided_about_would_have_been_counted(
    tmp_path: Path, other_cards: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pack = load_knowledge(Settings(cards=ROOT / "cards")).packs[0]
    chance = random.Random(3)
    lines = [resource for each in Randomly(pack, 3).patients(120) for resource in each]
    for number in range(120):
        day = MOMENT - timedelta(days=chance.randint(0, 20))
        stay = (day.isoformat(), (day + timedelta(days=2)).isoformat())
        lines.append(encounter(str(number), f"p{number}", *stay, location=[at("North")]))
    source = ndjson(tmp_path / "all.ndjson", lines)
    words = ("--cards", ROOT / "cards", other_cards, "--ids", "--again", "3")
    pruned = told(source, *words, day=MOMENT.isoformat())
    monkeypatch.setattr("cds_service.screening.burden.choose", _everybody)

    found = told(source, *words, day=MOMENT.isoformat())

    assert found == pruned
    for name in ("old", "new"):
        assert found[name]["cardsAtEncounters"] > 20
        assert found[name]["together"]
        assert found[name]["notShown"]["precedence"]
        assert found[name]["notShown"]["quietDays"]


def _everybody(engine: Engine, *_: object) -> None:
    engine.run("CREATE OR REPLACE TABLE chosen AS SELECT patient FROM patient")


def test_who_cannot_be_decided_about_is_counted(tmp_path: Path) -> None:
    source = export(tmp_path / "e", [], count=2)
    ndjson(source / "Observation.ndjson", [result("1", "Patient/p0", status=["final"])])

    found = told(source)

    assert found["patients"] == 2
    assert found["now"]["notDecided"] == {"not one laboratory result can be read": 1}


def budget(folder: Path, cards: int) -> Path:
    """A site file with so many cards a day."""
    file = folder / f"site-{cards}.yaml"
    file.write_text(
        "pack: liver\nsite: General Hospital\nreviewed: 2026-11-24\n"
        f"budget: {{cards a day: {cards}, because: Agreed with the wards.}}\n"
    )
    return file


def checked(*words: object) -> tuple[int, str]:
    """The exit code of `check` and what it prints."""
    done = CliRunner().invoke(check, [str(word) for word in words])
    return done.exit_code, done.output


@pytest.fixture(name="ward")
def _ward(tmp_path: Path) -> Path:
    """Thirty patients on the ward on one day, each with a card."""
    stays = [encounter(str(n), f"p{n}", "2026-11-19", "2026-11-19") for n in range(30)]
    return export(tmp_path / "e", stays, count=40)


@pytest.mark.parametrize(
    ("cards", "day", "said", "problems"),
    [
        (2, DAY, "{}; the budget is 2", 0),
        (1, DAY, "{} are more than the 1 of the budget", 1),
        (1, "2026-01-31", "cards a day are not known: SOURCE has no Encounter from 2026-01-04", 1),
    ],
)
def test_a_budget_is_held_against_an_average_day(
    ward: Path, tmp_path: Path, cards: int, day: str, said: str, problems: int
) -> None:
    site = read_site(budget(tmp_path, cards))

    notes: list[str] = []
    found = list(check_burden(ROOT / "cards", site, [ward], day, notes))

    counted = "1.1 cards a day in the 30 encounters from 2026-10-24 to 2026-11-20"
    assert [problem.code for problem in found] == ["K807"] * problems
    assert said.format(counted) in "".join([*notes, *(problem.message for problem in found)])
    assert not any("not everything could be counted" in note for note in notes)


def test_a_budget_held_against_a_part_of_the_encounters_says_so(ward: Path, tmp_path: Path) -> None:
    lost = ndjson(tmp_path / "Lost.ndjson", [encounter("x", "nobody", DAY, DAY)])
    notes: list[str] = []

    list(check_burden(ROOT / "cards", read_site(budget(tmp_path, 2)), [ward, lost], DAY, notes))

    assert "not everything could be counted" in notes[-1]


def test_a_budget_without_the_cards_of_someone_not_decided_about_says_so(
    ward: Path, tmp_path: Path
) -> None:
    stay = ndjson(tmp_path / "stay.ndjson", [encounter("x", "two", DAY, DAY)])
    source = [ward, other_identity(tmp_path), stay]
    notes: list[str] = []

    list(check_burden(ROOT / "cards", read_site(budget(tmp_path, 2)), source, DAY, notes))

    assert "not everything could be counted" in notes[-1]


def test_more_cards_than_the_budget_end_with_exit_code_1(
    ward: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cds_service.cli.check.check_cases", lambda *_: [])  # of the pack: slow
    site = budget(tmp_path, 1)
    monkeypatch.setattr("cds_service.cli.check.check_site", lambda *_: SiteReport(()))

    code, said = checked(ROOT / "cards", "--site", site, "--burden", ward, "--as-of", DAY)

    assert code == 1
    assert f"{site.name}:4" in said
    assert "K807" in said


def test_a_budget_is_needed_to_hold_cards_against(tmp_path: Path) -> None:
    source = export(tmp_path / "e", [])
    site = tmp_path / "site.yaml"
    site.write_text("pack: liver\nsite: General Hospital\nreviewed: 2026-11-24\n")

    for words in ((), ("--site", site)):
        code, said = checked(ROOT / "cards", *words, "--burden", source)
        assert code == 2
        assert "--burden: a site file with a budget is needed" in said
    assert checked(ROOT / "cards", "--as-of", DAY)[0] == 2
