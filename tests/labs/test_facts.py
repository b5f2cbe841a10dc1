# SPDX-License-Identifier: Apache-2.0
"""Facts from medicines and conditions: yes, no or not known."""

from dataclasses import replace

import pytest

from cds_service.amounts import Ternary
from cds_service.knowledge.model.code_systems import ICD_10_CM, RXNORM, SNOMED
from cds_service.knowledge.model.pack import Code, CodeMatch, Fact, Medicine, Pack
from cds_service.labs.facts import FactAnswer, fact_finders, facts_of, facts_ordered
from cds_service.labs.patient_record import PatientRecord, Recorded
from tests.knowledge.fixture_pack import letters
from tests.labs.patients import coded, named, record


def answers(of: PatientRecord, pack: Pack | None = None) -> dict[str, FactAnswer]:
    pack = pack or letters()
    return facts_of(pack, fact_finders(pack), of)


def known(of: PatientRecord, fact: str) -> Ternary:
    return answers(of)[fact].known


def fact_of(name: str, *medicines: str, any_of: tuple[str, ...] = ()) -> Fact:
    return Fact(
        id=name,
        title=name,
        medicines=tuple(Medicine(name=one, codes=(), also_named=()) for one in medicines),
        conditions=(),
        condition_names=(),
        any_of=any_of,
    )


def pack_of(*facts: Fact) -> Pack:
    return replace(letters(), facts={fact.id: fact for fact in facts})


@pytest.mark.parametrize(
    ("medicine", "yes"),
    [
        (coded(RXNORM, "99999901"), True),
        (coded(RXNORM, "99999902"), True),
        (coded(RXNORM, "9999990"), False),
        (coded("http://example.org", "99999901"), False),
        (named("gammazine"), True),
        (named("GAMMAZINE 5 MG"), True),
        (named("tab. Gammazine/other"), True),
        (named("(gammazine)"), True),
        (named("gammavite"), True),
        (named("other", "gammazine"), True),
        (coded("http://example.org", "7", "gammazine"), True),
        (named("gammazines"), False),
        (named("progammazine"), False),
        (named("gamma zine"), False),
        (named("ga\u017fmmazine"), False),
        (named(""), False),
    ],
)
def test_a_medicine_counts_by_code_product_or_whole_word(medicine: Recorded, yes: bool) -> None:
    assert known(record(medicines=(medicine,)), "on-gammazine") is yes


@pytest.mark.parametrize(
    ("condition", "yes"),
    [
        (coded(SNOMED, "99990015"), True),
        (coded(SNOMED, "99990027"), False),
        (coded(ICD_10_CM, "U99.9"), True),
        (coded(ICD_10_CM, "U99.91"), True),
        (coded(ICD_10_CM, "U99"), False),
        (coded(ICD_10_CM, "U99.8"), False),
        (coded(ICD_10_CM, "AU99.9"), False),
        (coded(SNOMED, "U99.91"), False),
        (named("Delta, mild"), True),
        (named("deltoid pain"), False),
        (coded(SNOMED, "99990027", "delta"), False),
    ],
)
def test_a_condition_counts_by_code_tree_or_by_text_without_a_code(
    condition: Recorded, yes: bool
) -> None:
    assert known(record(conditions=(condition,)), "delta-disease") is yes


def test_a_code_that_is_no_tree_stands_for_itself() -> None:
    code = Code(system=ICD_10_CM, code="U99.9", name="delta")
    only = replace(
        letters().facts["delta-disease"], conditions=(CodeMatch(code=code, below=False),)
    )
    pack = pack_of(only)

    assert answers(record(conditions=(coded(ICD_10_CM, "U99.9"),)), pack)["delta-disease"].known
    assert not answers(record(conditions=(coded(ICD_10_CM, "U99.91"),)), pack)[
        "delta-disease"
    ].known


@pytest.mark.parametrize(
    ("of", "gammazine", "delta", "either"),
    [
        (record(), False, False, False),
        (record(medicines=None), None, False, None),
        (record(conditions=None), False, None, None),
        (record(medicines=None, conditions=None), None, None, None),
        (record(medicines=(named("gammazine"),), conditions=None), True, None, True),
        (record(medicines=None, conditions=(named("delta"),)), None, True, True),
        (record(medicines=(named("other"),), conditions=(named("other"),)), False, False, False),
    ],
)
def test_not_known_is_not_no(
    of: PatientRecord, gammazine: Ternary, delta: Ternary, either: Ternary
) -> None:
    found = answers(of)

    assert found["on-gammazine"].known is gammazine
    assert found["delta-disease"].known is delta
    assert found["any-risk"].known is either


def test_what_made_a_fact_yes_is_named_once_and_in_order() -> None:
    of = record(
        medicines=(named("gammavite"), coded(RXNORM, "99999901", "gammazine")),
        conditions=(named("delta"), coded(SNOMED, "99990015")),
    )

    found = answers(of)

    assert found["on-gammazine"].names == ("gammazine",)
    assert found["delta-disease"].names == ("delta", "delta disease")
    assert found["any-risk"].names == ("delta", "delta disease", "gammazine")


def test_facts_may_be_made_of_facts_that_are_made_of_facts() -> None:
    pack = pack_of(
        fact_of("top", any_of=("middle",)),
        fact_of("middle", "epsilon", any_of=("bottom",)),
        fact_of("bottom", "zeta"),
    )
    of = record(medicines=(named("zeta"),))
    ordering = replace(record(), prescribing=(named("zeta"),))

    assert {name: one.known for name, one in answers(of, pack).items()} == {
        "top": True,
        "middle": True,
        "bottom": True,
    }
    assert facts_ordered(pack, fact_finders(pack), ordering) == {"top", "middle", "bottom"}


def test_a_longer_name_is_not_read_as_a_shorter_one() -> None:
    pack = pack_of(fact_of("pair", "eta/theta"), fact_of("one", "eta"))

    found = answers(record(medicines=(named("eta/theta 5 mg"),)), pack)

    assert (found["pair"].known, found["one"].known) == (True, False)


def test_one_name_may_belong_to_several_facts() -> None:
    pack = pack_of(fact_of("first", "iota"), fact_of("second", "Iota"))

    found = answers(record(medicines=(named("IOTA"),)), pack)

    assert (found["first"].known, found["second"].known) == (True, True)


@pytest.mark.parametrize(
    "text", ["\u0130ota", "\u0131ota", "stra\u00dfe iota", "\u212aappa", "\ufb01"]
)
def test_letters_with_odd_cases_never_raise(text: str) -> None:
    pack = pack_of(fact_of("first", "iota", "kappa", "fi"))

    assert answers(record(medicines=(named(text),)), pack)["first"].known in {True, False}


def test_a_pack_without_names_reads_codes_only() -> None:
    code = Code(system=SNOMED, code="99990015", name="delta")
    bare = Fact(
        id="bare",
        title="bare",
        medicines=(),
        conditions=(CodeMatch(code=code, below=False),),
        condition_names=(),
        any_of=(),
    )

    assert answers(record(conditions=(named("delta"),)), pack_of(bare))["bare"].known is False


def test_what_is_being_ordered_is_found_by_its_medicine() -> None:
    finders = fact_finders(letters())

    def ordered(*drafts: Recorded) -> frozenset[str]:
        return facts_ordered(letters(), finders, replace(record(), prescribing=drafts))

    assert ordered() == frozenset()
    assert ordered(named("other")) == frozenset()
    assert ordered(named("gammazine 5 mg")) == {"on-gammazine", "any-risk"}
    assert ordered(named("delta")) == frozenset()


def test_a_medicine_that_is_being_ordered_counts_as_taken() -> None:
    of = replace(record(medicines=None), prescribing=(named("gammazine"),))

    assert answers(of)["on-gammazine"] == FactAnswer(True, ("gammazine",))
