# SPDX-License-Identifier: Apache-2.0
"""A signature holds for the meaning that was signed, and no other."""

import shutil
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path

import pytest

from cds_service.copying import replace
from cds_service.errors import KnowledgeError
from cds_service.knowledge.checking.signature import NOT_SIGNED, SIGNED, signature_hash
from cds_service.knowledge.model.names import NameIndex
from cds_service.knowledge.model.pack import CardLimit, Pack
from cds_service.knowledge.model.pack_file import Signature
from cds_service.knowledge.model.remarks import Remark, Remarks
from cds_service.knowledge.model.status import NOT_APPROVED, approval, is_signed
from cds_service.knowledge.reading.build import load_packs
from tests.knowledge.fixture_pack import changed, letters
from tests.knowledge.signed_packs import sign
from tests.web.http_fixtures import liver_pack

CARDS = Path(__file__).parents[2] / "cards"
GUIDE = Path(__file__).parents[2] / "docs" / "how-to" / "sign-a-pack.md"


@pytest.fixture(name="cards")
def _cards(tmp_path: Path) -> Path:
    shutil.copytree(CARDS, tmp_path, dirs_exist_ok=True)
    return tmp_path


def liver(cards: Path) -> Pack:
    return next(pack for pack in load_packs(cards) if pack.id == "liver")


def replace_in(file: Path, old: str, new: str) -> None:
    text = file.read_text(encoding="utf-8")
    assert old in text
    file.write_text(text.replace(old, new, 1), encoding="utf-8")


def test_nobody_has_signed_the_pack_that_comes_with_the_service() -> None:
    assert approval(liver_pack()) == NOT_APPROVED
    assert not is_signed(liver_pack())


def test_a_signature_holds_for_what_was_signed(cards: Path) -> None:
    sign(cards / "liver", signature_hash(liver_pack()))

    pack = liver(cards)

    assert is_signed(pack)
    assert approval(pack) == "Signed by Dr. Example on 2027-01-02."


@pytest.mark.slow  # each reads the pack twice
@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("rules/alt-severe.yaml", "15 x", "16 x"),
        ("rules/alt-severe.en.md", "onsider", "onsider now"),
        ("markers/alt.yaml", "title: ", "title: Serum "),
        ("rules/alt-severe.yaml", "version: 2.", "version: 3."),
        ("../messages.en.yaml", "does not replace it", "may replace it"),
        ("pack.yaml", "They are not made for infants", "They are made for infants"),
        ("remarks.yaml", "CK **", "Creatine kinase **"),
        ("pack.yaml", "{code: ", "{code: other-"),
    ],
)
def test_a_change_of_meaning_ends_it(cards: Path, file: str, old: str, new: str) -> None:
    sign(cards / "liver", signature_hash(liver_pack()))
    replace_in(cards / "liver" / file, old, new)
    if "version" in old:
        replace_in(cards / "liver" / file, f"- {old}", f"- {new}")

    pack = liver(cards)

    assert not is_signed(pack)
    assert approval(pack).startswith("Changed since Dr. Example signed these rules on 2027-01-02")


def test_mended_evidence_does_not(cards: Path) -> None:
    sign(cards / "liver", signature_hash(liver_pack()))
    replace_in(cards / "liver/rules/alt-severe.yaml", "says: ", "says: As it stands there, ")

    assert is_signed(liver(cards))


def another_value(field: str) -> object:
    """Another value of a part of the pack."""
    if field in OTHER:
        return OTHER[field]
    value = getattr(LETTERS, field)
    if isinstance(value, str):
        return f"{value}x"
    if isinstance(value, Mapping):
        return {**value, "more": next(iter(value.values()), "more")}
    return (*value, value[0] if value else "more")


LETTERS = letters()
REMARK = Remark(id="one", when=None, replaced=None, texts={})
OTHER = {
    "cards": CardLimit(at_most=3, rank=()),
    "names": NameIndex(),
    "remarks": Remarks(each=(REMARK,)),
    "rules": {},
    "scope": replace(LETTERS.scope, index_days=1),
    "signature": Signature(by="Nobody", on="2027-01-02", lock=""),
    "site": None,
    "unit_pieces": replace(LETTERS.unit_pieces),
    "version": "1.0.1",
}


@pytest.mark.parametrize("field", [field.name for field in fields(Pack)])
def test_every_part_of_a_pack_is_signed_or_known_not_to_be(field: str) -> None:
    other = replace(LETTERS, **{field: another_value(field)})

    assert (field in SIGNED) is not (field in NOT_SIGNED)
    assert (signature_hash(other) != signature_hash(LETTERS)) is (field in SIGNED)


def test_the_guide_names_every_part_that_is_signed_or_not() -> None:
    text = " ".join(GUIDE.read_text(encoding="utf-8").split())
    signed, _, others = text.partition("The hash stands for")[2].partition("Not part of it are")

    assert [words for words in SIGNED.values() if words not in signed] == []
    assert [words for words in NOT_SIGNED.values() if words not in others] == []


@pytest.mark.parametrize("lock", ["yes", "0123", "g" * 32])
def test_what_is_no_hash_is_a_problem(tmp_path: Path, lock: str) -> None:
    folder = changed(tmp_path, {})
    sign(folder, lock)

    with pytest.raises(KnowledgeError, match="K106"):
        load_packs(folder)
