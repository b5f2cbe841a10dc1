# SPDX-License-Identifier: Apache-2.0
"""The page about a population: plain words, no small counts, one file that loads nothing."""

import re
from pathlib import Path

import pytest

from cds_service.screening.privacy import cell
from cds_service.screening.report import moment_in_words, report_of
from cds_service.screening.report_chart import chart_of
from tests.screening.exports import DAY, Json, ndjson, person, result, run

AT = "2026-11-20T23:59:59.999+00:00"
FROM_TO = ("--every", "1d", "--from", "2026-11-17", "--to", "2026-11-22")


def export_of(folder: Path, raised: int, low: int, fine: int = 0) -> Path:
    """So many patients with a moderately raised ALT, a very low one, and neither."""
    source = folder / "export"
    source.mkdir()
    values = [250] * raised + [2] * low + [20] * fine
    ndjson(source / "Patient.ndjson", [person(f"p{n}") for n in range(len(values))])
    lines: list[Json | str] = [
        result(f"r{n}", f"Patient/p{n}", value) for n, value in enumerate(values)
    ]
    ndjson(source / "Observation.ndjson", lines)
    return source


def page_of(source: Path, *words: object) -> str:
    out = source.parent / "out"
    shown = run(source, "--out", out, *words)
    assert shown.stdout.splitlines()[-1] == f"Report: {out / 'report.html'}"
    return (out / "report.html").read_text(encoding="utf-8")


def row_of(page: str, rule: str) -> list[str]:
    (row,) = (
        cell_row for cell_row in page.split("<tr>") if f'<span class="id">{rule}</span>' in cell_row
    )
    return re.findall(r'<td class="n">(.*?)</td>', row)


def test_it_names_rules_by_their_titles_and_hides_small_counts(tmp_path: Path) -> None:
    page = page_of(export_of(tmp_path, raised=6, low=2, fine=12), "--as-of", DAY)

    assert "20 patients, as of the end of 20 November 2026" in page
    assert "Moderately raised ALT" in page
    assert row_of(page, "alt-moderate") == ["6", "300.0"]
    assert row_of(page, "alt-very-low") == ["&lt;5", "-"]


def test_few_patients_in_all_are_not_counted_nor_told_by_the_names_of_rows(tmp_path: Path) -> None:
    page = page_of(export_of(tmp_path, raised=1, low=0), "--as-of", DAY)

    assert "show &lt;5 patients, as of" in page
    assert re.findall(r'<span class="big">(.*?)</span>', page) == ["&lt;5", "-", "-"]
    assert row_of(page, "alt-moderate") == ["&lt;5", "-"]
    assert "By sex and age" not in page


def test_a_small_count_has_no_bar(tmp_path: Path) -> None:
    page = page_of(export_of(tmp_path, raised=6, low=2), "--as-of", DAY)

    bars = re.findall(r'<td class="b">.*?</td>', page, flags=re.DOTALL)
    assert ["<rect" in bar for bar in bars] == [True, False]


def test_it_counts_by_sex_and_age_without_small_cells(tmp_path: Path) -> None:
    source = export_of(tmp_path, raised=6, low=2, fine=8)
    women = [person(f"w{n}", gender="female", birthDate="1940-05-01") for n in range(7)]
    ndjson(
        source / "more.ndjson", [*women, *(result(f"w{n}", f"Patient/w{n}", 2) for n in range(7))]
    )
    page = page_of(source, "--as-of", DAY)

    assert _people(page, "Female") == ["7", "7", "100.0 %"]
    assert _people(page, "Male") == ["16", "8", "50.0 %"]
    assert _people(page, "40-64") == ["16", "8", "50.0 %"]
    assert _people(page, "80+") == ["7", "7", "100.0 %"]


def test_a_total_does_not_tell_a_small_cell(tmp_path: Path) -> None:
    source = export_of(tmp_path, raised=6, low=0, fine=9)
    others = [person(f"o{n}", gender="other", birthDate="1970-01-01") for n in range(3)]
    women = [person(f"w{n}", gender="female", birthDate="1970-01-01") for n in range(7)]
    results = [
        result(f"x{patient['id']}", f"Patient/{patient['id']}", 20) for patient in (*others, *women)
    ]
    ndjson(source / "more.ndjson", [*others, *women, *results])
    page = page_of(source, "--as-of", DAY)

    assert _people(page, "Other") == ["&lt;5", "0", "-"]
    assert _people(page, "Female") == ["-", "0", "-"]  # 25 in all, 15 men
    assert _people(page, "Male") == ["15", "6", "40.0 %"]


def _people(page: str, name: str) -> list[str]:
    (row,) = (
        cell_row
        for cell_row in page.split("<tr>")
        if cell_row.startswith(f'<th scope="row">{name}</th>')
    )
    return [
        cell.strip() for cell in re.findall(r'<td class="n">(.*?)(?:<svg|</td>)', row, re.DOTALL)
    ]


def test_few_with_a_card_are_not_counted_out(tmp_path: Path) -> None:
    page = page_of(export_of(tmp_path, raised=2, low=1, fine=9), "--as-of", DAY)

    figures = re.findall(r'<span class="big">(.*?)</span>', page)
    assert figures == ["12", "&lt;5", "-"]


def test_it_says_first_what_was_not_read_and_is_not_known(tmp_path: Path) -> None:
    source = export_of(tmp_path, raised=6, low=0)
    ndjson(source / "<b>odd.ndjson", ["{"])
    page = page_of(source, "--as-of", DAY)

    lost = "1 line of &lt;b&gt;odd.ndjson is no FHIR resource: 1"
    assert page.index(lost) < page.index("Cards by severity and rule")
    assert "there is none: MedicationRequest" in page


def test_it_loads_nothing_and_runs_nothing(tmp_path: Path) -> None:
    page = page_of(export_of(tmp_path, raised=6, low=2), *FROM_TO, "--look-back")

    assert "default-src 'none'; style-src 'unsafe-inline'" in page
    assert not re.search(r"<script|<link|<img|url\(|https?:| style=| on[a-z]+=", page)


def test_a_replay_has_bars_over_time_and_next_steps(tmp_path: Path) -> None:
    page = page_of(export_of(tmp_path, raised=6, low=0), *FROM_TO, "--look-back")

    assert "at 6 times from the end of 17 November 2026 to the end of 22 November 2026" in page
    assert "2026-11-19</th><td" in page
    assert "<caption><strong>Moderately raised ALT</strong></caption>" in page
    assert "tests and orders elsewhere" in page
    # The number of first showings would tell how many windows are not over.
    assert '<th scope="col" class="n">First shown</th><th scope="col">' not in page


def test_the_bars_over_time_do_not_tell_how_often_one_rule_was_first_shown() -> None:
    page = report_of(
        replayed(cards=[("alt-moderate", 9), ("alt-severe", 3)], first_at=[0, 12]), packs=()
    )

    (part,) = page.severities
    assert [(row.id, row.first) for row in part.rows] == [
        ("alt-moderate", "-"),
        ("alt-severe", "<5"),
    ]
    assert [bar.count for bar in page.charts[0].bars] == [12]


def test_few_cards_have_no_bars_over_time() -> None:
    assert report_of(replayed(cards=[("alt-severe", 3)], first_at=[1, 2]), packs=()).charts == ()


def test_the_bars_over_time_do_not_tell_how_many_steps_are_not_over() -> None:
    taken = {"due": 6, "inTime": 6, "early": 0, "late": 0, "never": 0, "already": 9, "notOver": 3}
    step = {"rule": "alt-moderate", "order": "liver-panel", "windows": [[0, 1]], **taken}
    data = replayed(cards=[("alt-moderate", 18)], first_at=[0, 18])
    looked = {"until": AT, "ordersKnown": True, "steps": [step], "rulesWithoutStep": []}
    page = report_of({**data, "lookBack": looked}, packs=())

    assert page.look_back is not None
    (row,) = page.look_back[0].rows
    assert (row.due, row.in_time, row.already, row.not_over) == ("-", "-", 9, "<5")


def replayed(cards: list[tuple[str, int]], first_at: list[int]) -> Json:
    """What a replay counted: warnings of rules, first shown at these steps."""
    none = {"critical": 0, "info": 0}
    return {
        "asOf": AT,
        "from": AT,
        "steps": len(first_at),
        "patients": 100,
        "patientsWithCard": 20,
        "cards": [
            {"rule": rule, "indicator": "warning", "cards": n, "firstShown": n, "patients": n}
            for rule, n in cards
        ],
        "overTime": [{"asOf": AT, "firstShown": {**none, "warning": n}} for n in first_at],
        "notKnown": [],
    }


def test_steps_are_taken_together_and_small_ones_have_no_height_of_their_own() -> None:
    moments = [f"2026-03-{day:02}T23:59:59.999+00:00" for day in range(1, 32)]

    chart = chart_of("info", moments, [9, 10, 0, 1, 0, 1, 1, 8, 7] + [0] * 22)

    assert chart.before == 9
    assert [bar.count for bar in chart.bars][:4] == [10, "<5", "<5", 15]
    assert (chart.bars[0].begins, chart.bars[0].ends) == ("2026-03-02", "2026-03-03")
    assert chart.most == 15
    assert [bar.height for bar in chart.bars if bar.is_hidden] == [5, 5]


@pytest.mark.parametrize(("count", "shown"), [(0, 0), (1, "<5"), (4, "<5"), (5, 5)])
def test_a_cell_shows_nought_and_five(count: int, shown: int | str) -> None:
    assert cell(count) == shown


def test_a_time_is_written_for_people() -> None:
    assert moment_in_words("2026-11-29T07:57:00+00:00") == "29 November 2026, 07:57 (UTC)"
