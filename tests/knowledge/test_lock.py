# SPDX-License-Identifier: Apache-2.0
"""A rule whose meaning changed needs a new version; anything else does not."""

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from cds_service.errors import KnowledgeError
from cds_service.knowledge.lock import LOCK_FILE, lock_of, meaning_hash, read_lock, write_lock
from cds_service.knowledge.pack import load_pack
from tests.knowledge.letters import LETTERS, SHOWN, changed, letters, places, problems_of, replaced

RULE, TEXT, PACK = "rules/alpha-high.yaml", "rules/alpha-high.en.md", "pack.yaml"


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
    change = replaced(
        RULE, ("version: 1.0.0", f"version: {version}"), ("indicator: info", "indicator: critical")
    )
    change |= replaced(PACK, ("version: 1.0.0", f"version: {version}"))
    folder = changed(tmp_path, change)

    assert places(problems_of(folder)) == [f"{PACK}:3: K702", f"{RULE}:2: K702"]

    write_lock(folder, load_pack(folder))

    assert problems_of(folder) == []


@pytest.mark.parametrize("version", ["0.9.9", "0.10.0"])
def test_a_version_never_goes_down(tmp_path: Path, version: str) -> None:
    folder = changed(tmp_path, replaced(RULE, ("version: 1.0.0", f"version: {version}")))

    (problem,) = problems_of(folder)

    assert (problem.code, problem.mark.line) == ("K702", 2)
    assert problem.message == "the version of the rule 'alpha-high' went down from 1.0.0"


def test_versions_are_compared_as_numbers(tmp_path: Path) -> None:
    folder = changed(tmp_path, replaced(RULE, ("version: 1.0.0", "version: 1.9.0")))
    write_lock(folder, load_pack(folder))
    (folder / RULE).write_bytes(
        (folder / RULE).read_bytes().replace(b"version: 1.9.0", b"version: 1.10.0")
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
        tmp_path, replaced("rules/unit-missing.yaml", ("status: active", "status: draft"))
    )
    write_lock(folder, load_pack(folder))
    rule = folder / "rules/unit-missing.yaml"

    rule.write_bytes(rule.read_bytes().replace(b"indicator: info", b"indicator: warning"))
    assert problems_of(folder) == []

    rule.write_bytes(rule.read_bytes().replace(b"status: draft", b"status: active"))
    assert places(problems_of(folder)) == ["rules/unit-missing.yaml:2: K701"]


def test_the_lock_is_sorted_with_one_line_an_entry(tmp_path: Path) -> None:
    write_lock(tmp_path, letters())
    lines = (tmp_path / LOCK_FILE).read_bytes().decode().splitlines()
    data = json.loads((tmp_path / LOCK_FILE).read_text(encoding="utf-8"))

    assert list(data) == ["version", "parts", "rules"]
    assert list(data["rules"]) == sorted(letters().rules)
    assert list(data["parts"]) == sorted(data["parts"])
    assert len(lines) == 7 + len(data["rules"]) + len(data["parts"])
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
    ["", "[]", "{}", "null", "{", '{"version": "1.0.0", "parts": {}, "rules": {"a": {}}}']
    + ['{"version": "one", "parts": {}, "rules": {}}', '{"version": "1", "parts": [], "rules": {}}']
    + ['{"version": "1.0.0", "parts": {}, "rules": {"a": {"version": "b", "meaning": "c"}}}']
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

    assert len({meaning_hash(one) for one in meant}) == len(meant)


def test_only_what_a_pack_is_made_of_can_be_locked() -> None:
    with pytest.raises(TypeError, match="cannot hold float"):
        meaning_hash(1.5)
