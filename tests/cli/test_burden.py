# SPDX-License-Identifier: Apache-2.0
"""`cds-service burden`: two editions on the same patients, side by side."""

import json
import shutil
from collections import Counter
from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from benchmarks.answered_views import main
from benchmarks.hospital import NOW, patients, read_hospital, write_patients
from cds_service.cli.burden import burden, read_views
from cds_service.cli.burden_counts import as_lines, burden_of, lost_of
from cds_service.cli.burden_views import (
    PatientView,
    ShownCard,
    files_of,
    knowledge_of,
    views_of,
)
from cds_service.errors import RequestError

CARDS = Path(__file__).parents[2] / "cards"
SEVERE = ShownCard("severe", "critical")
RAISED = ShownCard("raised", "warning")
MILD = ShownCard("mild", "info")


def run(*words: str) -> Result:
    return CliRunner().invoke(burden, words)


def written(path: Path, *views: PatientView) -> str:
    lines = (
        json.dumps(
            {
                "patient": view.patient,
                "cards": [{"rule": one.rule, "indicator": one.indicator} for one in view.cards],
            }
        )
        for view in views
    )
    path.write_text("\n".join(lines), encoding="utf-8")
    return str(path)


@pytest.fixture(name="hospital", scope="module")
def _hospital(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hospital")
    write_patients(folder, patients(read_hospital(), 27, even=True))
    return folder


def test_the_counts_are_of_views_and_of_cards() -> None:
    views = [
        PatientView("a", (SEVERE, MILD)),
        PatientView("b", (MILD,)),
        PatientView("c", ()),
        PatientView("d", (RAISED,)),
    ]

    counted = burden_of(views)

    assert (counted.views, counted.with_a_card, counted.with_an_alarm) == (4, 3, 2)
    assert counted.by_rule == Counter({SEVERE: 1, RAISED: 1, MILD: 2})
    assert counted.per_100(counted.of_indicator("info")) == 50
    assert burden_of([]).per_100(0) == 0


def test_a_view_is_lost_when_no_alarm_is_left() -> None:
    old = [
        PatientView("a", (SEVERE,)),
        PatientView("b", (RAISED,)),
        PatientView("c", (RAISED, MILD)),
        PatientView("d", ()),
    ]
    new = [
        PatientView("a", (RAISED,)),
        PatientView("b", ()),
        PatientView("c", (MILD,)),
        PatientView("d", (SEVERE,)),
    ]

    lost = lost_of(old, new)

    assert [(one.patient, one.old, one.new) for one in lost] == [
        ("b", (RAISED,), ()),
        ("c", (RAISED,), (MILD,)),
    ]
    text = "\n".join(as_lines(burden_of(old), burden_of(new), lost))
    assert "2 patients lost" in text
    assert "c: raised (warning); now mild (info)" in text


def test_a_folder_is_answered_and_a_file_is_read(hospital: Path, tmp_path: Path) -> None:
    knowledge = knowledge_of(CARDS)
    views = [
        one
        for file in files_of(hospital)
        for one in views_of(file, knowledge, "patient-view", [NOW])
    ]
    old = written(tmp_path / "old.jsonl", *views)

    done = run(str(hospital), "--cards", old, str(CARDS), "--at", NOW.isoformat(), "--json")

    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert found["views"] == 27
    assert found["old"] == found["new"]
    assert found["new"]["viewsWithCard"] > 0
    assert found["lost"] == []


def test_a_card_that_may_be_quiet_is_shown_at_the_first_of_two_views(
    hospital: Path, tmp_path: Path
) -> None:
    quiet = next(one for one in files_of(hospital) if _has_quiet_card(one))
    shutil.copy(quiet, tmp_path)

    done = run(
        *(str(tmp_path), "--cards", str(CARDS), str(CARDS), "--at", NOW.isoformat()),
        *("--again", "1", "--json"),
    )

    found = json.loads(done.stdout)
    assert found["views"] == 2
    assert found["new"]["viewsWithCard"] == 1
    later = [NOW, NOW + timedelta(days=1)]
    knowledge = knowledge_of(CARDS)
    without = list(views_of(quiet, knowledge, "patient-view", later))
    assert without[0].cards == without[1].cards


def _has_quiet_card(file: Path) -> bool:
    (view,) = views_of(file, knowledge_of(CARDS), "patient-view", [NOW])
    return [one.rule for one in view.cards] == ["alt-borderline"]


def _has_card(file: Path) -> bool:
    (view,) = views_of(file, knowledge_of(CARDS), "patient-view", [NOW])
    return bool(view.cards)


def test_run_as_a_program_it_writes_views(
    hospital: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = next(one for one in files_of(hospital) if _has_card(one))
    shutil.copy(file, tmp_path)

    main([str(tmp_path), str(CARDS), "patient-view", NOW.isoformat()])

    answered = tmp_path / "views.jsonl"
    answered.write_text(capsys.readouterr().out, encoding="utf-8")
    views = list(views_of(file, knowledge_of(CARDS), "patient-view", [NOW]))
    assert read_views(answered) == views
    assert views[0].cards


def test_a_table_names_the_rules(hospital: Path, tmp_path: Path) -> None:
    old = written(
        tmp_path / "old", PatientView("Patient/a", (SEVERE,)), PatientView("Patient/b", ())
    )
    new = written(tmp_path / "new", PatientView("Patient/a", ()), PatientView("Patient/b", (MILD,)))

    lines = run(str(hospital), "--cards", old, new).stdout.splitlines()

    assert lines[0].split() == ["2", "views", "old", "new", "change"]
    assert "  severe (critical)                               50.00    0.00  -50.00" in lines
    assert "  Patient/a: severe (critical); now no card" in lines


OTHER_INDICATOR = '{"patient": "a", "cards": [{"rule": "x", "indicator": "hard-stop"}]}'


@pytest.mark.parametrize("text", ["{}", "[", '{"patient": "a", "cards": 1}', OTHER_INDICATOR])
def test_a_file_that_holds_no_views_is_named(hospital: Path, tmp_path: Path, text: str) -> None:
    (tmp_path / "old").write_text(text, encoding="utf-8")

    done = run(str(hospital), "--cards", str(tmp_path / "old"), str(CARDS))

    assert isinstance(done.exception, RequestError)
    assert str(done.exception) == "old is no file of answered views."


def test_a_hook_that_no_service_answers_is_refused(hospital: Path) -> None:
    done = run(str(hospital), "--cards", str(CARDS), str(CARDS), "--hook", "patient-veiw")

    assert isinstance(done.exception, RequestError)
    assert "No service answers this hook; known: patient-view" in str(done.exception)


def test_two_sides_are_of_the_same_patients(hospital: Path, tmp_path: Path) -> None:
    old = written(tmp_path / "old", PatientView("Patient/a", ()))
    new = written(tmp_path / "new", PatientView("Patient/b", ()))

    assert isinstance(run(str(hospital), "--cards", old, new).exception, RequestError)


def test_a_folder_without_patients_and_a_file_that_is_none_are_named(tmp_path: Path) -> None:
    empty = run(str(tmp_path), "--cards", str(CARDS), str(CARDS))
    (tmp_path / "a.json").write_text("[]", encoding="utf-8")
    broken = run(str(tmp_path), "--cards", str(CARDS), str(CARDS))

    assert "There are no patients" in str(empty.exception)
    assert str(broken.exception).startswith("a.json: ")


def test_a_time_is_read(tmp_path: Path) -> None:
    words = (str(tmp_path), "--cards", str(CARDS), str(CARDS), "--at")

    assert run(*words, "yesterday").exit_code == 2
    assert "There are no patients" in str(run(*words, "2026-06-15T09:00").exception)
