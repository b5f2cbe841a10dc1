# SPDX-License-Identifier: Apache-2.0
"""`cds-service review`: the document that a clinician signs."""

import errno
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from html import unescape
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from cds_service.cli import EXIT_CODES
from cds_service.cli.check import check
from cds_service.cli.review import review
from cds_service.errors import UnknownPage
from cds_service.knowledge.checking.signature import signature_hash
from cds_service.knowledge.model.conditions import AllOf, AnyOf, PatternIs, named_leaves
from cds_service.knowledge.model.leaves import _Leaf
from cds_service.knowledge.reading.build import load_packs
from cds_service.service import load_knowledge
from cds_service.settings import Settings
from cds_service.web import create_app
from tests.knowledge.signed_packs import sign
from tests.web.http_fixtures import NOW, SERVICE, founding

NO_FILE = os.strerror(errno.ENOENT)
CARDS = Path(__file__).parents[2] / "cards"
(LIVER,) = load_packs(CARDS)


def run(*words: str, cards: Path = CARDS) -> Result:
    return CliRunner().invoke(review, words, env={"CDS_CARDS": str(cards)})


@pytest.fixture(name="signed_before", scope="module")
def _signed_before(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The packs, signed with another meaning on the day of their newest version."""
    cards = tmp_path_factory.mktemp("cards")
    shutil.copytree(CARDS, cards, dirs_exist_ok=True)
    sign(cards / "liver", "0" * 32, on=LIVER.history[0].date)
    return cards


@pytest.fixture(name="text", scope="module")
def _text() -> str:
    return run().stdout


def test_it_has_every_rule_and_the_line_to_sign_with(text: str) -> None:
    assert set(re.findall(r'<section class="rule \w+" id="([^"]+)"', text)) == {
        rule.id for rule in LIVER.rules.values() if rule.status != "retired"
    }
    assert f"lock: {signature_hash(LIVER)}}}" in text
    assert "No clinician has approved these rules yet." in text
    assert "Since the last signature" not in text


def test_what_the_authors_decided_stands_apart_from_what_sources_say(text: str) -> None:
    rule = LIVER.rules["alf-emergency"]
    _, section = text.split('id="alf-emergency"')
    section, *_ = section.split("</section>")
    _, section = section.split("Decided by the authors")
    decided, sourced = section.split("<h4>Sources</h4>")

    for line in rule.evidence:
        says = " ".join(line.says.split()).split("'")[0].split("<")[0][:40]
        assert says in (decided if line.source is None else sourced)


def words_of(value: object, name: str = "") -> Iterator[str]:
    """Every text of a part of the pack, but for conditions and what decides nothing."""
    if name in NOT_READ or isinstance(value, (_Leaf, AllOf, AnyOf, PatternIs)):
        return
    if isinstance(value, str):
        yield " ".join(value.split())
    elif isinstance(value, Mapping):
        for part in value.values():
            yield from words_of(part)
    elif isinstance(value, tuple | frozenset):
        for part in value:
            yield from words_of(part)
    elif is_dataclass(value):
        for field in fields(value):
            yield from words_of(getattr(value, field.name), field.name)


# Not part of the meaning, or said in other words; the title stands for the id of a marker or fact.
NOT_READ = {
    "lines", "file", "system", "around", "relation", "beside_name", "shown_in", "units", "term",
    "inputs", "any_of", "all_of", "ended_by", "answered_by", "answered_beside_index", "about",
    "rank", "by", "replaced", "rules", "marker", "equivalents", "duplicates", "but_for",
}  # fmt: skip
SHARED = (
    "usage services scope override_reasons order_groups remarks messages titles "
    "markers measures facts orders"
)


@pytest.mark.parametrize("part", SHARED.split())
def test_everything_that_is_signed_stands_in_it(text: str, part: str) -> None:
    plain = " ".join(unescape(re.sub(r"<[^>]*>", " ", text)).split())

    words = list(words_of(getattr(LIVER, part)))

    assert [word for word in words if word not in plain] == []
    assert words or part == "titles"


def test_numbers_of_the_shared_parts_stand_in_it(text: str) -> None:
    assert LIVER.cards is not None
    assert f"{LIVER.cards.at_most} cards; critical ones whatever their number" in text
    assert "cards on results from warning on" in text
    for order in LIVER.orders.values():
        if order.resulted_days is not None:
            assert f"needless after a result of the last:</span> {order.resulted_days} days" in text
        assert all(code in text for _, code in order.equivalents)


def test_a_rule_stands_there_whole(text: str) -> None:
    def section(rule: str) -> str:
        return text.split(f'id="{rule}"')[1].split("</section>", maxsplit=1)[0]

    patterns = {
        (rule.id, leaf.when.in_words())
        for rule in LIVER.rules.values()
        for leaf in named_leaves(rule.when)
        if isinstance(leaf, PatternIs)
    }
    assert patterns
    assert all("where “yes” means" in section(rule) for rule, _ in patterns)
    for rule in LIVER.rules.values():
        if rule.status != "retired":
            assert ("the card is quiet for" in section(rule.id)) is (rule.quiet_days > 0)
            groups = {
                suggestion.group for suggestion in rule.suggestions if suggestion.group is not None
            }
            assert all(LIVER.order_groups[group] in section(rule.id) for group in groups)
    only_if = [
        replacement
        for replacement in LIVER.precedence
        if replacement.only_as is not None or replacement.when is not None
    ]
    assert all(
        ", only if " in section(name) for replacement in only_if for name in replacement.winners
    )


def test_it_loads_nothing(text: str) -> None:
    assert not re.findall(r"<(?:script|link|img|iframe)\b|url\(|src=", text)


def test_what_has_changed_since_the_signature_comes_first(signed_before: Path) -> None:
    text = run(cards=signed_before).stdout

    changes = text.split("Since the last signature")[1].split("</table>")[0]
    assert "Changed since Dr. Example signed these rules" in text
    assert LIVER.history[0].version in changes
    assert "the pack" in changes


def test_a_file_is_written_and_said(tmp_path: Path) -> None:
    done = run("liver", "--out", str(tmp_path / "review.html"))

    assert (tmp_path / "review.html").read_text(encoding="utf-8").startswith("<!doctype html>")
    assert "rules of Liver tests" in done.stderr


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    done = run("--out", str(tmp_path / "no" / "such.html"))

    assert str(done.exception) == f"{tmp_path}/no/such.html cannot be written: {NO_FILE}."
    assert EXIT_CODES[type(done.exception)] == 3  # type: ignore[index]


def test_a_pack_that_is_not_there_is_named() -> None:
    assert isinstance(run("kidney").exception, UnknownPage)


def test_check_says_that_a_signature_no_longer_holds(signed_before: Path) -> None:
    done = CliRunner().invoke(check, [str(signed_before)])

    assert "Changed since Dr. Example signed these rules" in done.stderr


def test_cards_and_the_start_page_say_who_answers_for_them(signed_before: Path) -> None:
    settings = Settings(profile="development", cards=signed_before)
    app = create_app(settings, clock=lambda: NOW, knowledge=load_knowledge(settings))
    http = app.test_client()

    answer = http.post(SERVICE, json=founding())

    assert "changed since Dr. Example signed it" in answer.text
    assert "Changed since Dr. Example signed these rules" in http.get("/").text
    assert "Changed since Dr. Example signed these rules" in http.get("/cds-services").text
