# SPDX-License-Identifier: Apache-2.0
"""A rule whose meaning changed needs a new version; anything else does not."""

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from cds_service.errors import KnowledgeError
from cds_service.knowledge.checking.lock import (
    LOCK_FILE,
    lock_of,
    meaning_hash,
    read_lock,
    write_lock,
)
from cds_service.knowledge.reading.build import load_pack
from tests.knowledge.fixture_pack import (
    LETTERS,
    SHOWN,
    changed,
    letters,
    places,
    problems_of,
    replaced,
)

RULE, TEXT, PACK = "rules/alpha-high.yaml", "rules/alpha-high.en.md", "pack.yaml"
FIRST = "  - {version: 1.0.0, date: 2026-11-24, change: First version.}\n"


def raised(path: str, version: str, *more: tuple[str, str]) -> dict[str, str | bytes]:
    """A file with this version, of which its history tells."""
    line = f"  - {{version: {version}, date: 2026-11-25, change: Something.}}\n"
    pair = ("\nversion: 1.0.0", f"\nversion: {version}")
    return replaced(path, pair, (FIRST, line + FIRST), *more)


def rewrite(folder: Path, path: str, *pairs: tuple[str, str]) -> None:
    """Change a file of a copy again."""
    text = (folder / path).read_text(encoding="utf-8")
    for old, new in pairs:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    (folder / path).write_text(text, encoding="utf-8")


def data_of(folder: Path) -> dict[str, dict[str, dict[str, object]]]:
    """The lock as it stands in the file."""
    found: dict[str, dict[str, dict[str, object]]] = json.loads(
        (folder / LOCK_FILE).read_text(encoding="utf-8")
    )
    return found


def problems(tmp_path: Path, change: Mapping[str, str | bytes]) -> list[str]:
    return places(problems_of(changed(tmp_path, change)))


def test_the_lock_of_the_pack_is_current() -> None:
    assert problems_of(LETTERS) == []


@pytest.mark.parametrize(
    "change",
    [
        replaced(RULE, ("above upper limit", "at least upper limit")),
        replaced(RULE, ("indicator: info", "indicator: critical")),
        replaced(RULE, ("between: 7 and 14 days", "between: 7 and 15 days")),
        replaced(RULE, ("recommended: always", "recommended: never")),
        replaced(RULE, ("    recommended: always\n", "")),
        replaced(RULE, ("because: delta-known", "because: known")),
        replaced(RULE, ("{any-risk: yes}", "{on-gammazine: yes}")),
        replaced(RULE, ("title: High alpha", "title: Alpha too high")),
        replaced(RULE, ("status: active", "status: retired")),
        replaced(TEXT, ("Consider beta", "Consider beta soon")),
        replaced(TEXT, ("the limit is", "its limit is")),
        replaced(TEXT, ("is low as well", "is low too")),
    ],
)
def test_another_meaning_needs_another_version(
    tmp_path: Path, change: dict[str, str | bytes]
) -> None:
    assert problems(tmp_path, change) == [f"{RULE}:2: K701"]


@pytest.mark.parametrize(
    "change",
    [
        replaced(RULE, ("id: alpha-high\n", "# a comment\nid: alpha-high\n")),
        replaced(RULE, ("says: Invented.}\n  - {d", "says: In other words.}\n  - {d")),
        replaced(RULE, ("case: above the limit", "case: another title")),
        replaced(RULE, ("      - alpha: 20 U/L -> no card\n", "")),
        replaced(RULE, ("last review: 2026-11-24", "last review: 2026-11-25")),
        replaced(RULE, ("change: First version", "change: The first version")),
        replaced(PACK, ("change: First version", "change: The first version")),
        replaced(RULE, ("  - alpha: above upper limit", "  - {alpha: above 1.0 x upper limit}")),
        replaced("rules/alpha-very-high.yaml", ("at least 5 x", "at least 5.00 x")),
        replaced("sources.yaml", ("An invented primer", "The invented primer")),
        replaced(PACK, ("case: who and when", "case: when and who")),
        replaced("markers/alpha.yaml", ("plausible: 0 to 500 U/L", "plausible: 0.0 to 0.5 kU/L")),
        replaced("markers/alpha.yaml", ("evidence:", "# a comment\nevidence:")),
    ],
)
def test_the_same_meaning_does_not(tmp_path: Path, change: dict[str, str | bytes]) -> None:
    assert problems(tmp_path, change) == []


@pytest.mark.parametrize(
    ("change", "part"),
    [
        (replaced("markers/alpha.yaml", ("use: 20 U/L", "use: 21 U/L")), "markers"),
        (replaced("measures/alpha-beta-ratio.yaml", ("at least 10", "at least 11")), "measures"),
        (replaced("facts/on-gammazine.yaml", ("[99999901]", "[99999903]")), "facts"),
        (replaced("orders/beta-test.yaml", (", 9999004-6]", "]")), "orders"),
        (replaced(PACK, ("orders: joined", "orders: its own")), "precedence"),
        (replaced(PACK, ("older than: 90 days", "older than: 91 days")), "scope"),
    ],
)
def test_what_rules_share_stands_under_the_version_of_the_pack(
    tmp_path: Path, change: dict[str, str | bytes], part: str
) -> None:
    found = problems_of(changed(tmp_path, change))

    assert places(found) == [f"{PACK}:3: K701"]
    assert found[0].message == f"the pack ({part}) means something else than before"


@pytest.mark.parametrize("version", ["1.0.1", "1.1.0", "2.0.0", "10.0.0"])
def test_a_new_version_waits_for_the_lock(tmp_path: Path, version: str) -> None:
    change = raised(RULE, version, ("indicator: info", "indicator: critical"))
    folder = changed(tmp_path, change | raised(PACK, version))

    assert places(problems_of(folder)) == [f"{PACK}:3: K702", f"{RULE}:2: K702"]

    write_lock(folder, load_pack(folder))

    assert problems_of(folder) == []


@pytest.mark.parametrize("version", ["0.9.9", "0.10.0"])
def test_a_version_never_goes_down(tmp_path: Path, version: str) -> None:
    pairs = (
        ("\nversion: 1.0.0", f"\nversion: {version}"),
        ("{version: 1.0.0", f"{{version: {version}"),
    )
    folder = changed(tmp_path, replaced(RULE, *pairs))

    found = problems_of(folder)

    assert places(found) == [f"{RULE}:2: K702", f"{RULE}:2: K703"]
    assert "the version of the rule 'alpha-high' went down from 1.0.0" in {
        problem.message for problem in found
    }


def test_versions_are_compared_as_numbers(tmp_path: Path) -> None:
    folder = changed(tmp_path, raised(RULE, "1.9.0"))
    write_lock(folder, load_pack(folder))
    tenth = "  - {version: 1.10.0, date: 2026-11-25, change: Something.}\n"
    rewrite(
        folder,
        RULE,
        ("\nversion: 1.9.0", "\nversion: 1.10.0"),
        ("history:\n", f"history:\n{tenth}"),
    )

    (problem,) = problems_of(folder)

    assert problem.message == "the rule 'alpha-high' has a new version, the lock does not"


def test_a_rule_that_is_gone_is_told(tmp_path: Path) -> None:
    folder = changed(tmp_path, {})
    for path in ("rules/unit-missing.yaml", "rules/unit-missing.en.md"):
        (folder / path).unlink()

    (problem,) = problems_of(folder)

    assert (problem.code, problem.mark.file) == ("K702", f"{SHOWN}/{LOCK_FILE}")
    assert problem.message.startswith("the rule 'unit-missing' is gone")


def test_a_draft_may_change_freely_until_it_is_active(tmp_path: Path) -> None:
    folder = changed(
        tmp_path, raised("rules/unit-missing.yaml", "1.1.0", ("status: active", "status: draft"))
    )
    write_lock(folder, load_pack(folder))
    rule = folder / "rules/unit-missing.yaml"

    rule.write_bytes(rule.read_bytes().replace(b"indicator: info", b"indicator: warning"))
    assert problems_of(folder) == []

    rule.write_bytes(rule.read_bytes().replace(b"status: draft", b"status: active"))
    assert places(problems_of(folder)) == ["rules/unit-missing.yaml:2: K701"]


def test_an_active_rule_cannot_change_as_a_draft(tmp_path: Path) -> None:
    rule = "rules/unit-missing.yaml"
    pairs = ("status: active", "status: draft"), ("indicator: info", "indicator: warning")

    assert problems(tmp_path, replaced(rule, *pairs)) == [f"{rule}:2: K701"]


def test_older_versions_keep_their_meaning_in_the_lock(tmp_path: Path) -> None:
    folder = changed(tmp_path, raised(RULE, "1.1.0", ("indicator: info", "indicator: critical")))
    before = data_of(folder)
    write_lock(folder, load_pack(folder))
    after = data_of(folder)

    assert list(after["rules"]["alpha-high"]) == ["1.1.0", "1.0.0"]
    assert after["rules"]["alpha-high"]["1.0.0"] == before["rules"]["alpha-high"]["1.0.0"]
    assert after["rules"]["alpha-high"]["1.1.0"] != before["rules"]["alpha-high"]["1.0.0"]
    assert after["pack"] == before["pack"]


def test_writing_the_lock_again_rewrites_nothing(tmp_path: Path) -> None:
    # `cds-service lock` refuses this; the file would not be harmed even if it did not
    folder = changed(
        tmp_path,
        replaced(RULE, ("indicator: info", "indicator: critical"))
        | replaced(PACK, ("orders: joined", "orders: its own")),
    )
    before = (folder / LOCK_FILE).read_bytes()
    write_lock(folder, load_pack(folder))

    assert (folder / LOCK_FILE).read_bytes() == before


def test_a_rule_that_is_gone_stays_in_the_lock(tmp_path: Path) -> None:
    folder = changed(tmp_path, {})
    for path in ("rules/unit-missing.yaml", "rules/unit-missing.en.md"):
        (folder / path).unlink()
    write_lock(folder, load_pack(folder))

    assert "unit-missing" in data_of(folder)["rules"]


@pytest.mark.parametrize("path", [RULE, PACK])
def test_the_history_tells_of_every_version_that_was_locked(tmp_path: Path, path: str) -> None:
    folder = changed(tmp_path, raised(path, "1.1.0"))
    write_lock(folder, load_pack(folder))
    rewrite(folder, path, (FIRST, ""))

    (problem,) = problems_of(folder)

    assert (problem.code, problem.mark.file) == ("K703", f"{SHOWN}/{path}")
    assert "has no line for 1.0.0" in problem.message


def test_the_lock_is_sorted_with_one_line_an_entry(tmp_path: Path) -> None:
    write_lock(tmp_path, letters())
    lines = (tmp_path / LOCK_FILE).read_bytes().decode().splitlines()
    data = json.loads((tmp_path / LOCK_FILE).read_text(encoding="utf-8"))

    assert list(data) == ["pack", "rules"]
    assert list(data["rules"]) == sorted(letters().rules)
    assert list(data["pack"]["1.0.0"]) == sorted(data["pack"]["1.0.0"])
    assert len(lines) == 8 + 3 * len(data["rules"]) + len(data["pack"]["1.0.0"])
    assert (tmp_path / LOCK_FILE).read_bytes() == (LETTERS / LOCK_FILE).read_bytes()


def test_a_lock_reads_as_it_was_written(tmp_path: Path) -> None:
    write_lock(tmp_path, letters())

    assert read_lock(tmp_path) == lock_of(letters())


def test_without_a_lock_there_is_one_problem(tmp_path: Path) -> None:
    folder = changed(tmp_path, {})
    (folder / LOCK_FILE).unlink()

    assert read_lock(folder) is None
    assert places(problems_of(folder)) == [f"{LOCK_FILE}:1: K702"]


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", "null", "{", '{"pack": {}, "rules": []}', '{"pack": {"one": {}}, "rules": {}}']
    + ['{"pack": {"1.0.0": []}, "rules": {}}', '{"pack": {}, "rules": {"a": {"b": "c"}}}']
    + ['{"version": "1.0.0", "parts": {}, "rules": {"a": {"version": "1.0.0", "meaning": "c"}}}']
    + ["[" * 100_000],
)
def test_a_broken_lock_is_told(tmp_path: Path, text: str) -> None:
    (tmp_path / LOCK_FILE).write_text(text, encoding="utf-8")

    with pytest.raises(KnowledgeError, match="cannot be read"):
        read_lock(tmp_path)


def test_a_lock_that_is_not_text_is_told(tmp_path: Path) -> None:
    (tmp_path / LOCK_FILE).write_bytes(b"\xff")

    with pytest.raises(KnowledgeError, match="not UTF-8"):
        read_lock(tmp_path)


def test_a_hash_tells_numbers_from_words_and_yes_from_nothing() -> None:
    meant: list[object] = [None, True, False, 1, "1", "true", (), ("1",), (("1",),), {}, {"1": 1}]

    assert len({meaning_hash(value) for value in meant}) == len(meant)


def test_only_what_a_pack_is_made_of_can_be_locked() -> None:
    with pytest.raises(TypeError, match="cannot hold float"):
        meaning_hash(1.5)
