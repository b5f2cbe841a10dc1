# SPDX-License-Identifier: Apache-2.0
"""A population over time: each moment as a call of then, and a card that stands is one story."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from cds_service.knowledge.model.pack import Pack
from cds_service.prefetch_keys import KINDS
from cds_service.screening.decisions import Decided, ScreeningQuestion, decide_patient
from cds_service.screening.engine import open_engine
from cds_service.screening.files import find_files
from cds_service.screening.lines import read_lines
from cds_service.screening.over_time import ReplayTally, decide_over_time
from cds_service.screening.prune import choose, uses_form
from cds_service.screening.steps import moments_between, step_of
from cds_service.service import Knowledge, load_knowledge
from cds_service.settings import Settings
from cds_service.sources.lines import ResourceText
from tests.screening.exports import Json, ndjson, person, result, run
from tests.screening.people import MOMENT, Randomly

ROOT = Path(__file__).parents[2]
FROM_TO = ("--every", "1d", "--from", "2026-11-17", "--to", "2026-11-22")


@pytest.fixture(name="knowledge", scope="module")
def _knowledge() -> Knowledge:
    return load_knowledge(Settings(cards=ROOT / "cards"))


@pytest.fixture(name="export")
def _export(tmp_path: Path) -> Path:
    folder = tmp_path / "export"
    folder.mkdir()
    ndjson(folder / "Patient.ndjson", [person("anna"), person("bert")])
    ndjson(
        folder / "Observation.ndjson",
        [
            result("1", "Patient/anna", 250),
            result("2", "Patient/anna", 20, effectiveDateTime="2026-11-21T08:00:00Z"),
            result("3", "Patient/bert", 2),
        ],
    )
    return folder


def replayed(export: Path, out: Path) -> list[Json]:
    run(export, *FROM_TO, "--out", out, "--ids")
    lines = (out / "decisions.ndjson").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def test_a_card_is_shown_from_its_result_until_the_next_and_is_one_story(
    export: Path, tmp_path: Path
) -> None:
    rows = [row for row in replayed(export, tmp_path / "out") if row["rule"] == "alt-moderate"]

    assert [(row["patient"], row["as_of"][:10], row["first_shown"][:10]) for row in rows] == [
        ("anna", "2026-11-19", "2026-11-19"),
        ("anna", "2026-11-20", "2026-11-19"),
    ]


def test_a_quiet_card_is_shown_once(export: Path, tmp_path: Path) -> None:
    rows = [row for row in replayed(export, tmp_path / "out") if row["patient"] == "bert"]

    assert [(row["rule"], row["as_of"][:10]) for row in rows] == [("alt-very-low", "2026-11-19")]


def test_the_counts_say_patients_stories_and_times(export: Path) -> None:
    data = json.loads(run(export, *FROM_TO, "--json").stdout)

    (card_counts,) = (card for card in data["cards"] if card["rule"] == "alt-moderate")
    assert (card_counts["patients"], card_counts["firstShown"], card_counts["cards"]) == (1, 1, 2)
    assert data["patientsWithCard"] == 2
    assert data["steps"] == 6
    assert [step["cards"]["warning"] for step in data["overTime"]] == [0, 0, 1, 1, 0, 0]
    assert [step["firstShown"]["warning"] for step in data["overTime"]] == [0, 0, 1, 0, 0, 0]


def test_the_table_says_how_it_counts(export: Path) -> None:
    shown = run(export, *FROM_TO).stdout

    assert "2 patients, asked about 6 times" in shown
    assert "2 had a card at some time (100.0 %)" in shown
    (row,) = (line.split() for line in shown.splitlines() if "alt-moderate" in line)
    assert row == ["warning", "alt-moderate", "1", "1", "2"]
    assert "after that a card is quiet for the days of its rule" in shown


def test_who_cannot_be_decided_about_is_told_once_with_the_day(
    export: Path, tmp_path: Path
) -> None:
    odd = {"valueQuantity": "5 U/L", "effectiveDateTime": "2026-11-19T08:00:00Z"}
    ndjson(export / "more.ndjson", [person("carl"), result("4", "Patient/carl", **odd)])

    rows = [row for row in replayed(export, tmp_path / "out") if row["patient"] == "carl"]

    assert [(row["as_of"][:10], row["answer"]) for row in rows] == [("2026-11-19", "refused")]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--every", "1d"], "--every, --from and --to go together"),
        (["--from", "2026-01-01", "--to", "2026-02-01"], "--every, --from and --to go together"),
        (["--every", "0d", "--from", "2026-01-01", "--to", "2026-02-01"], "write a step such as"),
        (["--every", "1m", "--from", "2026-01-01", "--to", "2026-02-01"], "write a step such as"),
        (["--every", "1d", "--from", "soon", "--to", "2026-02-01"], "for --from: write a day"),
        (["--every", "1d", "--from", "2026-02-02", "--to", "2026-02-01"], "is after --to"),
        (["--every", "1h", "--from", "2026-01-01", "--to", "2026-12-01"], "at most 4,000"),
        ([*FROM_TO, "--as-of", "2026-02-01"], "--as-of goes without --every"),
        ([*FROM_TO, "--all", "--out", "x"], "--all goes without --every"),
    ],
)
def test_wrong_use_is_refused(export: Path, tmp_path: Path, words: list[str], message: str) -> None:
    refused = run(export, *(tmp_path / word if word == "x" else word for word in words))

    assert refused.exit_code == 2
    assert message in " ".join(refused.stderr.split())


def test_days_keep_to_the_clock_and_hours_do_not() -> None:
    zone = ZoneInfo("Europe/Berlin")  # the clock goes back on 25 October 2026
    first = datetime(2026, 10, 24, 23, 0, tzinfo=zone)
    last = datetime(2026, 10, 26, 23, 0, tzinfo=zone)

    days = moments_between(first, last, step_of("1d"), zone)
    hours = moments_between(first, last, step_of("25h"), zone)

    assert [day.hour for day in days] == [23, 23, 23]
    assert [(hour.day, hour.hour) for hour in hours] == [(24, 23), (25, 23)]
    assert days[1].astimezone(UTC) - days[0].astimezone(UTC) == timedelta(hours=25)


def test_what_is_counted_survives_being_written() -> None:
    tally = ReplayTally(Counter({("a", "info"): 2}), first_at=Counter({(3, "info"): 1}))

    assert ReplayTally.of(json.loads(json.dumps(tally.counts()))) == tally


def _texts(resources: Iterable[Json]) -> dict[str, list[ResourceText]]:
    texts = defaultdict(list)
    for resource in resources:
        kind = resource["resourceType"]
        owner = (
            resource["id"]
            if kind == "Patient"
            else resource["subject"]["reference"].rpartition("/")[2]
        )
        if kind in KINDS:
            texts[owner].append(ResourceText(kind, json.dumps(resource)))
    return texts


def _asked(moments: tuple[datetime, ...]) -> ScreeningQuestion:
    return ScreeningQuestion(
        moment=moments[-1], moments=moments, cut=True, known=frozenset(KINDS), key=None
    )


@pytest.mark.slow
def test_each_moment_shows_what_a_call_of_then_shows_but_for_quiet_cards(
    knowledge: Knowledge,
) -> None:
    pack = knowledge.packs[0]
    moments = tuple(MOMENT - timedelta(days=days) for days in (370, 366, 91, 60, 7, 6, 1, 0))
    everybody = (resource for each in Randomly(pack, 5).patients(150) for resource in each)
    compared = 0
    for patient, lines in _texts(everybody).items():
        question = _asked(moments)
        shown = decide_over_time(knowledge, patient, lines, question).rows
        lately: dict[tuple[str, ...], date] = {}
        for moment in moments:
            alone = ScreeningQuestion(moment=moment, cut=True, known=question.known, key=None)
            calls = decide_patient(knowledge, patient, lines, alone)
            now = [
                row for row in shown if row["as_of"] == moment.isoformat(timespec="milliseconds")
            ]
            if calls.refused:
                continue
            expected = list(_not_quiet(calls.rows, moment.date(), lately, pack))
            assert [_card(row) for row in now] == [_card(row) for row in expected], patient
            compared += len(now)
    assert compared > 400


def _not_quiet(
    rows: Iterable[Decided], today: date, lately: dict[tuple[str, ...], date], pack: Pack
) -> Iterator[Decided]:
    """The rows without the cards that were shown in the days of their rules."""
    order = ["info", "warning", "critical"]
    for row in rows:
        name = (row["rule"], str(row.get("index", {}).get("marker")))
        quiet = pack.rules[row["rule"]].quiet_days
        if quiet and row["indicator"] != "critical":
            as_severe = order[order.index(row["indicator"]) :]
            days = [lately[*name, rule] for rule in as_severe if (*name, rule) in lately]
            if any((today - day).days < quiet for day in days):
                continue
            lately[*name, row["indicator"]] = today
        yield row


def _card(row: Decided) -> tuple[object, ...]:
    return row["rule"], row["version"], row["indicator"], json.dumps(row.get("index"))


@pytest.mark.slow
@pytest.mark.parametrize("seed", [6])
def test_nobody_who_is_dropped_has_a_card_or_a_notice_at_any_moment(
    knowledge: Knowledge, tmp_path: Path, seed: int
) -> None:
    moments = moments_between(
        MOMENT - timedelta(days=300), MOMENT - timedelta(days=20), timedelta(days=7), UTC
    )
    everybody = [
        resource for each in Randomly(knowledge.packs[0], seed).patients(800) for resource in each
    ]
    source = tmp_path / "source"
    source.mkdir()
    ndjson(source / "all.ndjson", everybody)
    with open_engine(tmp_path, memory_mb=400, threads=1) as engine:
        question = _asked(moments)
        uses = uses_form(knowledge, question)
        lines = read_lines(engine, find_files([source]), tmp_path, uses=uses)
        choose(engine, lines.known, knowledge, question, lines.specimen_of)
        dropped = {
            row[0]
            for row in engine.rows("SELECT patient FROM patient ANTI JOIN chosen USING (patient)")
        }
    texts = _texts(everybody)

    missed = {
        name: found[0]
        for name in sorted(dropped)
        if (found := decide_over_time(knowledge, name, texts[name], question).rows)
    }

    assert missed == {}
    assert len(dropped) > 60  # else nothing was tested


def test_a_result_is_a_notice_while_it_is_issued_before_its_own_time(
    knowledge: Knowledge, tmp_path: Path
) -> None:
    early = {"issued": "2026-11-01T08:00:00Z", "effectiveDateTime": "2026-11-19T08:00:00Z"}
    ndjson(
        tmp_path / "all.ndjson",
        [
            person("a"),
            result("1", "Patient/a", 20, **early),
            person("b"),
            result("2", "Patient/b", 20),
        ],
    )

    found = counted_over_time(tmp_path)

    assert found["patientsWithCard"] == 1
    assert found["patientsWithoutCardByTheirResults"] == 1


def counted_over_time(source: Path) -> Json:
    found: Json = json.loads(run(source, *FROM_TO, "--json").stdout)
    return found
