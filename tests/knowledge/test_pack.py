# SPDX-License-Identifier: Apache-2.0
"""A folder of files becomes a pack, or tells everything that keeps it from being one."""

from fractions import Fraction
from pathlib import Path

import pytest

from cds_service.amounts import Interval
from cds_service.errors import KnowledgeError
from cds_service.knowledge.model.bounds import TimesLimit
from cds_service.knowledge.model.leaves import (
    AgeCompare,
    Compare,
    FactIs,
)
from cds_service.knowledge.model.names import Named
from cds_service.knowledge.model.pack import Near, Pairing, Reading, Replacement
from cds_service.knowledge.reading.build import build_pack, load_pack, load_packs
from cds_service.knowledge.reading.file_reader import PackCache
from cds_service.knowledge.reading.folder import pack_folders
from tests.knowledge.fixture_pack import (
    LETTERS,
    changed,
    letters,
    letters_files,
    places,
    problems_of,
    replaced,
)

ALPHA, BETA = "markers/alpha.yaml", "markers/beta.yaml"
FACT, ORDER, MEASURE = (
    "facts/any-risk.yaml",
    "orders/beta-test.yaml",
    "measures/alpha-beta-ratio.yaml",
)
RULE, PACK, UNITS = "rules/alpha-high.yaml", "pack.yaml", "units.yaml"
BY_AND_REPLACED = """\
  - by: alpha-very-high
    replaced: [alpha-high]
    orders: its own
"""


def near(text: str) -> tuple[str, tuple[str, str]]:
    return ALPHA, ("evidence:", f"doubtful near a boundary:\n  {text}\nevidence:")


def test_every_number_and_name_arrives_in_the_pack() -> None:
    pack = letters()
    alpha, rule = pack.markers["alpha"], pack.rules["alpha-high"]

    assert (pack.id, pack.version, list(pack.rules)) == (
        "letters",
        "1.0.0",
        ["alpha-high", "alpha-very-high", "unit-missing"],
    )
    assert alpha.factors == {"U/L": 1, "u/l": 1, "kU/L": 1000}
    assert alpha.units == {"U/L": "U/L", "u/l": "U/L", "kU/L": "kU/L"}
    assert alpha.plausible == Interval(Fraction(0), Fraction(500))
    assert alpha.pairing == Pairing(around="index", hours=24)
    assert pack.markers["beta"].pairing == Pairing(around="now", hours=720)
    assert [(choice.named, choice.amount) for choice in alpha.limits["upper limit"]] == [
        ("child-10", 10),
        ("lab", None),
        ("fallback-20", 20),
    ]
    assert alpha.limits["upper limit"][0].applies == AgeCompare("below", 216, "18 years")
    assert rule.when == Compare(("alpha",), "above", TimesLimit(Fraction(1), "upper limit"))
    assert rule.unless[0].when == FactIs("delta-disease", answer=True)
    assert [
        (suggestion.order, suggestion.first_day, suggestion.last_day, suggestion.priority)
        for suggestion in rule.suggestions
    ] == [
        ("repeat-alpha", 7, 14, "routine"),
        ("beta-test", 0, 14, "routine"),
    ]
    assert rule.suggestions[0].recommended is True
    assert pack.rules["unit-missing"].about == ()
    assert (pack.scope.silent_if_deceased, pack.scope.index_days) == (True, 90)
    assert (pack.scope.future_hours, pack.scope.order_days) == (24, 30)
    assert pack.names.of("Alfa") == (Named("alpha"),)
    assert pack.marker_codes["https://example.org/codes", "A2"][0] == "alpha"
    assert pack.measures["alpha-beta-ratio"].readings == (
        Reading(relation="at least", bound=Fraction(10), called="steep"),
        Reading(relation="otherwise", bound=Fraction(0), called="flat"),
    )


def test_the_boundaries_that_a_coarse_unit_makes_doubtful_are_read(tmp_path: Path) -> None:
    path, pair = near("{sent in: kU/L, within: 0.3 U/L, of: [5 U/L, 0.01 kU/L, 2 x upper limit]}")
    pack, problems = build_pack(letters_files(changed(tmp_path, replaced(path, pair))))

    assert problems == []
    assert pack is not None
    assert pack.markers["alpha"].near == Near(
        unit="kU/L",
        distance=Fraction(3, 10),
        amounts=(Fraction(5), Fraction(10)),
        multiples=(Fraction(2),),
    )


@pytest.mark.parametrize(
    ("path", "pair", "problem"),
    [
        # markers
        (ALPHA, ("  U/L: 1\n", "  U/L: 2\n"), "K105"),
        (ALPHA, ("{times: 1000}", "{times: 1000, divided by: 3}"), "K106"),
        (ALPHA, ("{times: 1000}", "{}"), "K106"),
        (ALPHA, ("{times: 1000}", "0"), "K204"),
        (ALPHA, ("{times: 1000}", "-3"), "K204"),
        (ALPHA, ("{times: 1000}", "1e3"), "K204"),
        (ALPHA, ("{times: 1000}", "{divided by: none}"), "K204"),
        (ALPHA, ("plausible:", "spellings:\n  mU/L: [x]\nplausible:"), "K301"),
        (ALPHA, ("plausible:", "spellings:\n  kU/L: [u/l]\nplausible:"), "11: K302"),
        (ALPHA, ("plausible: 0 to 500 U/L", "plausible: 0 - 500 U/L"), "K204"),
        (ALPHA, ("plausible: 0 to 500 U/L", "plausible: 0 to 500"), "K203"),
        (ALPHA, ("plausible: 0 to 500 U/L", "plausible: 500 to 0 U/L"), "K205"),
        (ALPHA, ("within 24 hours of the index", "around the index"), "K202"),
        (ALPHA, ("use: 20 U/L", "use: 20"), "K203"),
        (ALPHA, ("use: 20 U/L", "use: twenty"), "K204"),
        (ALPHA, ("use: 20 U/L, ", ""), "K106"),
        (ALPHA, ("use: 20 U/L", "use: 20 U/L, lab limit: any"), "K106"),
        (ALPHA, ("[{age: below 18 years}]", "[{on-gammazine: yes}]"), "K201"),
        (ALPHA, ("[{age: below 18 years}]", "[]"), "K106"),
        (ALPHA, ("alpha: above upper limit", "beta: present"), "K301"),
        (ALPHA, (", alpha: above upper limit", ""), "K106"),
        (ALPHA, ("{id: high, title: High, alpha: above", "{id: high, alpha: above"), "K106"),
        (ALPHA, ("alpha: above upper limit", "alpha: beyond upper limit"), "K202"),
        (ALPHA, ("code: A1, ", ""), "K105"),
        (ALPHA, ("source: primer", "source: prime"), "K301"),
        (ALPHA, ("source: primer, ", ""), "K106"),
        (ALPHA, ("source: primer", "decision: yes, source: primer"), "K106"),
        (*near("{sent in: mU/L, within: 0.3 U/L, of: [5 U/L]}"), "K203"),
        (*near("{sent in: kU/L, within: 0.3, of: [5 U/L]}"), "K203"),
        (*near("{sent in: kU/L, within: 0.3 U/L, of: [5]}"), "K203"),
        (*near("{sent in: kU/L, within: 0.3 U/L, of: [upper limit]}"), "K204"),
        (BETA, ("{loinc: 9999001-2, name: Beta}", "{loinc: 9999001-3, name: Beta}"), "K303"),
        (BETA, ("title: Beta", "names: [ALFA]\ntitle: Beta"), "K302"),
        # units and sources
        (UNITS, ("U/L: [u/l]", "U/L: [u/l]\nmU/L: [u/l]"), "K302"),
        (UNITS, ("U/L: [u/l]", "U/L: [u / l]"), "K106"),
        (UNITS, ("U/L: [u/l]", "U/L: [[u/l]]"), "K106"),
        (UNITS, ("U/L: [u/l]", "- U/L"), "K106"),
        ("sources.yaml", ("https://", "http://"), "K106"),
        # facts, orders, measures
        (FACT, ("any of: [on-gammazine, delta-disease]\n", ""), "1: K105"),
        (FACT, ("[on-gammazine, delta-disease]", "[on-gamazine]"), "K301"),
        (FACT, ("[on-gammazine, delta-disease]", "[any-risk]"), "K304"),
        ("facts/delta-disease.yaml", ("99990015, n", "99990016, n"), "K303"),
        (
            "facts/delta-disease.yaml",
            ("{snomed: 99990015", "{icd-10-cm: U1, snomed: 99990015"),
            "K106",
        ),
        (
            "facts/delta-disease.yaml",
            ("{snomed: 99990015", "{and below: yes, snomed: 99990015"),
            "K106",
        ),
        (ORDER, ("loinc: 9999003-8", "system: 'https://example.org', code: B"), "K105"),
        (ORDER, ("9999004-6]", "9999004-7]"), "K303"),
        (ORDER, ("answered by: [beta]", "answered by: [gamma]"), "K301"),
        (MEASURE, ("about: alpha", "about: gamma"), "K301"),
        (MEASURE, ("formula: alpha / beta", "formula: alpha / gamma"), "K206"),
        (MEASURE, ("formula: alpha / beta", "formula: alpha / age.limit"), "K206"),
        (MEASURE, ("formula: alpha / beta", "formula: alpha / beta.previous"), "K206"),
        (MEASURE, ("at least 10: steep", "at least 10 U/L: steep"), "K202"),
        (MEASURE, ("at least 10: steep", "at most 10: steep"), "K202"),
        (MEASURE, (", because: beta-is-zero", ""), "K105"),
        (MEASURE, ("because: beta-is-zero", "because: beta is zero"), "K105"),
        (MEASURE, ("{beta: at most 0, because", "{because"), "K105"),
        # rules
        (RULE, ("about: alpha", "about: gamma"), "K301"),
        (RULE, ("hooks: [patient-view]", "hooks: [order-sign]"), "K301"),
        (RULE, ("indicator: info", "indicator: urgent"), "K106"),
        (RULE, ("when:\n  - alpha: above upper limit", "when: []"), "K106"),
        (RULE, ("when: [on-gammazine: yes]", "when: []"), "K106"),
        (RULE, ("also say:", "on order hooks: []\nalso say:"), "K106"),
        (RULE, ("between: 7 and 14 days", "between: 7 to 14 days"), "K202"),
        (RULE, ("between: 7 and 14 days", "between: 14 and 7 days"), "K202"),
        (RULE, ("recommended: always", "recommended: sometimes"), "K106"),
        (RULE, ("recommended: always", "recommended: []"), "K106"),
        (RULE, ("recommended: always", "when: []"), "K106"),
        (RULE, ("low-beta: {beta: below lower limit}", "low-beta: []"), "K106"),
        (RULE, ("{delta-disease: yes, because", "{beta: present since, because"), "K202"),
        # the pack
        (PACK, ("[alpha-very-high, alpha-high]", "[alpha-very-hihg, alpha-high]"), "K301"),
        (PACK, ("strongest of: [alpha-very-high, alpha-high]", "by: alpha-high"), "K106"),
        (PACK, ("    - deceased\n", "    - diseased\n"), "K202"),
        (PACK, ("    - deceased\n", "    - [deceased]\n"), "K202"),
        (PACK, ("{age: below 1 year, because", "{age: below one year, because"), "K202"),
        (PACK, (", because: age-under-1}", "}"), "K105"),
        (PACK, ("older than: 90 days", "older than: three months"), "K202"),
        (PACK, ("set aside after 24 hours", "set aside"), "K202"),
        (PACK, ("use the higher", "use the lower"), "K106"),
    ],
)
def test_each_mistake_is_told_at_its_line(
    tmp_path: Path, path: str, pair: tuple[str, str], problem: str
) -> None:
    change = replaced(path, pair)
    old, new = (LETTERS / path).read_text(encoding="utf-8"), str(change[path])
    touched = [n for n, line in enumerate(new.splitlines(), 1) if line not in old.splitlines()]

    found = places(problems_of(changed(tmp_path, change)))

    if problem.startswith("K"):
        assert found in [[f"{path}:{line}: {problem}"] for line in touched]
    else:
        assert found == [f"{path}:{problem}"]


def test_every_subject_of_when_and_unless_and_every_order_needs_evidence(tmp_path: Path) -> None:
    unless = (
        "  - {delta-disease: yes, because: delta-known}\n"
        "  - {sex: male, age: below 3 years, ordering: beta-test, because: x}\n"
        "  - {alpha-beta-ratio: above 3, because: y}\n"
    )
    change = replaced(
        RULE,
        ("  - {delta-disease: yes, because: delta-known}\n", unless),
        ("backs: [alpha, delta-disease]", "backs: [alpha, delta-disease, text, low-beta, beta]"),
        ("backs: [repeat-alpha, beta-test]", "backs: [any-risk, on-gammazine]"),
    )

    found = problems_of(changed(tmp_path, change))

    assert {problem.mark.line for problem in found} == {28}
    assert [problem.message for problem in found] == [
        f"no evidence backs '{subject}'"
        for subject in ("age", "alpha-beta-ratio", "beta-test", "ordering", "repeat-alpha", "sex")
    ]


def test_a_replacement_names_its_winners_and_its_losers(tmp_path: Path) -> None:
    change = replaced(
        PACK,
        ("  - strongest of: [alpha-very-high, alpha-high]\n    orders: joined\n", BY_AND_REPLACED),
        ("replaced-by:alpha-very-high", "condition-not-met"),
    )
    pack, problems = build_pack(letters_files(changed(tmp_path, change)))

    assert problems == []
    assert pack is not None
    assert pack.precedence == (
        Replacement(by=("alpha-very-high",), replaced=("alpha-high",), orders_join=False),
    )
    assert letters().precedence == (
        Replacement(
            by=("alpha-very-high", "alpha-high"),
            replaced=("alpha-very-high", "alpha-high"),
            orders_join=True,
            strongest=True,
        ),
    )


@pytest.mark.parametrize("path", ["pack.yaml", "units.yaml", "sources.yaml"])
def test_a_file_that_every_pack_needs_is_missed(tmp_path: Path, path: str) -> None:
    folder = changed(tmp_path, {})
    (folder / path).unlink()

    assert places(problems_of(folder)) == [f"{path}:1: K108"]
    with pytest.raises(KnowledgeError, match="is missing"):
        load_pack(folder)


@pytest.mark.parametrize("text", ["", "- a\n- b\n", "just text\n", "~\n"])
@pytest.mark.parametrize("path", ["pack.yaml", ALPHA, FACT, ORDER, MEASURE, RULE])
def test_an_empty_or_wrong_top_is_told_and_never_raised(
    tmp_path: Path, path: str, text: str
) -> None:
    found = places(problems_of(changed(tmp_path, {path: text})))

    assert any(message.startswith(f"{path}:1: K10") for message in found)


@pytest.mark.parametrize("path", ["units.yaml", "sources.yaml"])
def test_a_list_of_units_or_sources_is_told(tmp_path: Path, path: str) -> None:
    assert f"{path}:1: K106" in places(problems_of(changed(tmp_path, {path: "- a\n"})))


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"facts/alpha-beta-ratio.yaml": b""}, "facts/alpha-beta-ratio.yaml:1: K302"),
        ({"facts/repeat-alpha.yaml": b""}, "orders/repeat-alpha.yaml:1: K302"),
        ({"facts/medicines.yaml": b""}, "facts/medicines.yaml:1: K302"),
        ({"facts/age.yaml": b""}, "facts/age.yaml:1: K302"),
    ],
)
def test_what_conditions_speak_of_by_id_has_an_id_of_its_own(
    tmp_path: Path, change: dict[str, str | bytes], problem: str
) -> None:
    (path,) = change
    fact = str(replaced(FACT, ("any-risk", Path(path).stem))[FACT])

    assert places(problems_of(changed(tmp_path, {path: fact}))) == [problem]


@pytest.mark.parametrize(
    "path",
    ["notes.txt", "facts/notes.md", "rules/alpha-high.txt", "rules/deep/alpha.yaml", "facts/a.yml"]
    + ["drugs/a.yaml", "more.yaml", "rules/alpha.md"],
)
def test_a_file_that_belongs_nowhere_is_told(tmp_path: Path, path: str) -> None:
    folder = changed(tmp_path, {})
    (folder / path).parent.mkdir(exist_ok=True)
    (folder / path).write_text("x\n", encoding="utf-8")

    assert places(problems_of(folder)) == [f"{path}:1: K109"]


def test_a_readme_a_changelog_and_hidden_files_may_lie_beside(tmp_path: Path) -> None:
    names = {"README.md": "x", "CHANGELOG.md": "x", ".DS_Store": "x", "rules/.alpha.yaml.swp": "x"}

    assert problems_of(changed(tmp_path, dict(names))) == []


def test_a_folder_of_packs_is_every_folder_with_a_pack(tmp_path: Path) -> None:
    changed(tmp_path / "cards", {})
    (tmp_path / "cards" / "empty").mkdir()

    assert pack_folders(tmp_path / "cards") == (tmp_path / "cards" / "letters",)
    assert [pack.id for pack in load_packs(tmp_path / "cards")] == ["letters"]
    assert pack_folders(LETTERS) == (LETTERS,)
    assert [pack.id for pack in load_packs(LETTERS)] == ["letters"]


@pytest.mark.parametrize("name", ["empty", "missing"])
def test_no_pack_at_all_is_a_problem(tmp_path: Path, name: str) -> None:
    (tmp_path / "empty").mkdir()

    with pytest.raises(KnowledgeError) as refused:
        load_packs(tmp_path / name, "cards")

    assert [getattr(problem, "code", "") for problem in refused.value.problems] == ["K108"]


def test_the_problems_of_every_pack_are_told_together(tmp_path: Path) -> None:
    for name in ("one", "two"):
        change = replaced(RULE, ("about: alpha", "about: gamma"))
        changed(tmp_path, change).rename(tmp_path / name)

    with pytest.raises(KnowledgeError) as refused:
        load_packs(tmp_path, "cards")

    told = [str(getattr(problem, "mark", "")) for problem in refused.value.problems]

    assert [sum(f"cards/{name}/{RULE}" in place for place in told) for name in ("one", "two")] == [
        1,
        1,
    ]


def test_building_again_with_one_file_changed_gives_what_a_fresh_reading_gives(
    tmp_path: Path,
) -> None:
    files = letters_files()
    cache = PackCache(files)
    first, _ = build_pack(files, cache)

    for path, pair in (
        (ALPHA, ("use: 20 U/L", "use: 21 U/L")),
        (UNITS, ("[u/l]", "[]")),
        (RULE, ("above upper limit", "abvoe upper limit")),
        (FACT, (", delta-disease]", "]")),
    ):
        folder = changed(tmp_path / path, replaced(path, pair))
        fresh = letters_files(folder)
        again = files.having(path, fresh.documents[path].data)
        expected, problems = build_pack(fresh)
        pack, found = build_pack(again, cache)

        assert (pack, places(found)) == (expected, places(problems))

    assert build_pack(files, cache) == (first, [])
