# SPDX-License-Identifier: Apache-2.0
"""Facts from medicines and conditions: yes, no or not known."""

from collections.abc import Mapping
from datetime import datetime, timedelta

import pytest

from cds_service.amounts import Ternary
from cds_service.copying import replace
from cds_service.knowledge.model.code_systems import ICD_10_CM, RXNORM, SNOMED, Code
from cds_service.knowledge.model.facts import CodeMatch, DenyingWords, Fact, Medicine
from cds_service.knowledge.model.leaves import (
    AgeCompare,
    SexIs,
)
from cds_service.knowledge.model.pack import Pack
from cds_service.labs.facts import FactAnswer, _most_telling, compile_facts, facts_of
from cds_service.labs.patient import Person
from cds_service.labs.patient_record import Incomplete, IncompletePart, PatientRecord, Recorded
from tests.call_counts import ended_after
from tests.knowledge.fixture_pack import letters
from tests.labs.patients import NOW, coded, named, record

WOMAN = Person((360, 360), "female")


def answers(
    of: PatientRecord, pack: Pack | None = None, person: Person = WOMAN
) -> Mapping[str, FactAnswer]:
    return facts_of(compile_facts(pack or letters()), of, NOW, person).known


def ordered(of: PatientRecord, pack: Pack | None = None) -> frozenset[str]:
    return facts_of(compile_facts(pack or letters()), of, NOW, WOMAN).ordering


def known(of: PatientRecord, fact: str) -> Ternary:
    return answers(of)[fact].known


def fact_of(name: str, *medicines: str, any_of: tuple[str, ...] = ()) -> Fact:
    return Fact(
        id=name,
        title=name,
        medicines=tuple(Medicine(name=medicine, codes=(), also_named=()) for medicine in medicines),
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
        (named("GAMMAZINE_300MG_TAB"), True),
        (named("gammazine300mg"), True),
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
        (coded(SNOMED, "99990027", "delta"), True),
        (coded("http://example.org", "7", "delta"), True),
        (named("well-known\u2013Delta"), True),
        (named("undelta"), False),
        (named("liver_delta"), True),
        (named("2delta"), False),
    ],
)
def test_a_condition_counts_by_code_tree_or_by_any_text(condition: Recorded, yes: bool) -> None:
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

    assert {name: answer.known for name, answer in answers(of, pack).items()} == {
        "top": True,
        "middle": True,
        "bottom": True,
    }
    assert ordered(ordering, pack) == {"top", "middle", "bottom"}


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
    def by(*drafts: Recorded) -> frozenset[str]:
        return ordered(replace(record(), prescribing=drafts))

    assert by() == frozenset()
    assert by(named("other")) == frozenset()
    assert by(named("gammazine 5 mg")) == {"on-gammazine", "any-risk"}
    assert by(named("delta")) == frozenset()


def test_a_medicine_that_is_being_ordered_counts_as_taken() -> None:
    of = replace(record(medicines=None), prescribing=(named("gammazine"),))

    assert answers(of)["on-gammazine"] == FactAnswer(True, ("gammazine",), ("gammazine",))


WORDS = Fact(
    id="words",
    title="words",
    medicines=(),
    conditions=(),
    condition_names=("Delta", "end-stage delta"),
    any_of=(),
    denied=DenyingWords(before=("waiting",), anywhere=("nurse",)),
    not_denied_by=("history of",),
    not_denied_inside=("donor delta",),
)
GENERAL = DenyingWords(before=("no", "history of", "r/o"), anywhere=("ruled out", "donor"))


@pytest.mark.parametrize(
    ("text", "yes"),
    [
        ("delta", True),
        ("Delta without epsilon, no zeta", True),
        ("No sign of delta", False),
        ("no-delta", False),
        ("Nothing but delta", True),
        ("R/O delta", False),
        ("history of delta", True),
        ("delta (ruled out)", False),
        ("ruled  out: delta", False),
        ("delta ruled in", True),
        ("waiting for delta", False),
        ("delta, waiting", True),
        ("delta nurse", False),
        ("donor delta", True),
        ("a donor delta of another donor", False),
        ("donor of delta", False),
        ("End\u2010Stage   Delta", True),
        ("delta; no delta", True),
    ],
)
def test_a_denying_word_in_the_same_text_denies_a_name(text: str, yes: bool) -> None:
    pack = pack_of(WORDS)
    pack = replace(pack, scope=replace(pack.scope, denying=GENERAL))

    assert answers(record(conditions=(named(text),)), pack)["words"].known is yes
    assert answers(record(conditions=(named(text, "delta"),)), pack)["words"].known


def of_codes(*codes: str, but_not: tuple[str, ...] = (), **more: object) -> Fact:
    def match(code: str) -> CodeMatch:
        return CodeMatch(code=Code(system=ICD_10_CM, code=code, name=code), below=True)

    bare = replace(
        WORDS,
        id="codes",
        conditions=tuple(map(match, codes)),
        but_not=tuple(map(match, but_not)),
        condition_names=("delta",),
    )
    return replace(bare, **more)


def test_a_code_that_is_left_out_counts_neither_by_itself_nor_by_its_display() -> None:
    pack = pack_of(of_codes("U1", but_not=("U1.5",)))

    def yes(*codes: str, display: str = "", text: str = "") -> Ternary:
        pairs = tuple((ICD_10_CM, code) for code in codes)
        entry = Recorded(
            codes=pairs,
            texts=tuple(filter(None, (display, text))),
            displays=((pairs[-1], display),) if display else (),
        )
        return answers(record(conditions=(entry,)), pack)["codes"].known

    assert yes("U1.4")
    assert not yes("U1.5")
    assert not yes("U1.51", display="Delta")
    assert yes("U1.51", display="Delta", text="delta, confirmed")
    assert yes("U1.4", "U1.51")
    assert yes("U2", display="Delta")


def recorded(code: str, ago: timedelta | None) -> Recorded:
    return replace(coded(ICD_10_CM, code), recorded=None if ago is None else NOW - ago)


@pytest.mark.parametrize(
    ("ago", "yes"),
    [
        (None, True),
        (timedelta(days=-3), True),
        (timedelta(days=42, hours=23), True),
        (timedelta(days=43), False),
    ],
)
def test_a_dated_entry_counts_for_so_many_whole_days(ago: timedelta | None, yes: bool) -> None:
    pack = pack_of(of_codes("U1", days=42))

    assert answers(record(conditions=(recorded("U1", ago),)), pack)["codes"].known is yes


@pytest.mark.parametrize(
    ("began", "ended", "yes"),
    [
        (None, None, False),
        (None, 5, False),
        (9, 5, False),
        (9, 9, False),
        (5, 9, True),
        (9, None, True),
    ],
)
def test_an_entry_of_another_fact_ends_earlier_ones(
    began: int | None, ended: int | None, yes: bool
) -> None:
    end = replace(of_codes("U2"), id="end")
    pack = pack_of(of_codes("U1", ended_by="end"), end)

    def days(number: int | None) -> timedelta | None:
        return None if number is None else timedelta(days=number)

    of = record(conditions=(recorded("U1", days(began)), recorded("U2", days(ended))))

    assert answers(of, pack)["codes"].known is yes
    assert answers(record(conditions=of.conditions and of.conditions[:1]), pack)["codes"].known


def test_an_end_on_the_same_day_ends_what_began_later_that_day() -> None:
    pack = pack_of(of_codes("U1", ended_by="end"), replace(of_codes("U2"), id="end"))
    day = datetime(2026, 6, 1, tzinfo=NOW.tzinfo)
    began = replace(coded(ICD_10_CM, "U1"), recorded=day + timedelta(hours=10))
    ended = replace(coded(ICD_10_CM, "U2"), recorded=day)

    assert not answers(record(conditions=(began, ended)), pack)["codes"].known


def test_a_fact_of_several_together_needs_all_of_them() -> None:
    pack = pack_of(
        replace(fact_of("both"), all_of=("one", "two")),
        fact_of("one", "epsilon"),
        replace(of_codes("U2"), id="two"),
    )

    def both(*names: str, conditions: tuple[Recorded, ...] | None = ()) -> FactAnswer:
        return answers(record(medicines=tuple(map(named, names)), conditions=conditions), pack)[
            "both"
        ]

    assert both("epsilon").known is False
    assert both("epsilon", conditions=None).known is None
    assert both(conditions=None).known is False
    assert both("epsilon", conditions=(coded(ICD_10_CM, "U2"),)) == FactAnswer(
        True, ("U2", "epsilon"), ("U2", "epsilon")
    )
    ordering = replace(record(), prescribing=(named("epsilon"),))
    assert ordered(ordering, pack) == {"one"}


@pytest.mark.parametrize(
    ("months", "sex", "yes"),
    [
        ((360, 360), "female", True),
        ((360, 360), "unknown", True),
        ((360, 360), "male", False),
        ((100, 100), "female", False),
        ((100, 130), "female", True),
        (None, "female", True),
    ],
)
def test_a_fact_is_never_so_for_some(months: tuple[int, int] | None, sex: str, yes: bool) -> None:
    never = (SexIs(("male",)), AgeCompare("below", 120, "10 years"))
    pack = pack_of(of_codes("U1", never_for=never), fact_of("top", any_of=("codes",)))
    person = Person(months, sex)  # type: ignore[arg-type]

    found = answers(record(conditions=(coded(ICD_10_CM, "U1"),)), pack, person)

    assert (found["codes"].known, found["top"].known) == (yes, yes)
    not_sent = answers(record(conditions=None), pack, person)["codes"].known
    assert not_sent is (None if yes else False)


def test_an_encounter_makes_a_fact_so_and_without_one_it_is_not() -> None:
    pack = pack_of(replace(fact_of("inside"), encounter_classes=("IMP", "EMER")))

    def inside(*classes: str) -> FactAnswer:
        of = replace(record(conditions=None, medicines=None), encounters=classes)
        return answers(of, pack)["inside"]

    assert inside("AMB", "IMP") == FactAnswer(True, ("IMP",), ("IMP",))
    assert inside("AMB") == inside() == FactAnswer(False)


def test_what_is_taken_is_on_the_list_and_not_only_being_ordered() -> None:
    def taken(of: PatientRecord) -> Ternary:
        return facts_of(compile_facts(letters()), of, NOW, WOMAN).taking["any-risk"]

    drug = named("gammazine")
    order = replace(drug, reference="MedicationRequest/1")

    assert taken(record(medicines=(drug,))) is True
    assert taken(replace(record(), prescribing=(drug,))) is False
    assert taken(replace(record(medicines=None), prescribing=(drug,))) is None
    assert taken(replace(record(medicines=(order,)), prescribing=(order,))) is False
    assert taken(replace(record(medicines=(drug,)), prescribing=(order,))) is True
    assert taken(record(conditions=(named("delta"),))) is False


def test_a_list_of_another_kind_that_is_not_whole_says_nothing_of_what_is_taken() -> None:
    def taken(part: IncompletePart) -> Ternary:
        of = replace(record(), incomplete=(Incomplete(part, "only a part"),))
        return facts_of(compile_facts(letters()), of, NOW, WOMAN).taking["any-risk"]

    assert taken("conditions") is False
    assert taken("medicines") is None


@pytest.mark.parametrize(
    ("texts", "sent"),
    [
        (("Tablet", "GAMMA\u2011VITE 5 mg"), "GAMMA\u2011VITE 5 mg (gammazine)"),
        (("other", "Gamma  Vite"), "Gamma  Vite (gammazine)"),
        (("other", "Gammazine", "gammazine"), "Gammazine"),
    ],
)
def test_the_text_that_names_a_fact_is_the_one_in_which_it_was_found(
    texts: tuple[str, ...], sent: str
) -> None:
    medicine = Medicine(name="gammazine", codes=(), also_named=("gamma-vite",))
    pack = pack_of(replace(fact_of("top"), medicines=(medicine,)))

    assert answers(record(medicines=(named(*texts),)), pack)["top"].as_sent == (sent,)


def test_a_name_is_not_repeated_for_its_hyphen() -> None:
    fact = replace(fact_of("top"), condition_names=("gamma-delta",))

    found = answers(record(conditions=(named("other", "Gamma\u2010Delta"),)), pack_of(fact))

    assert found["top"].as_sent == ("Gamma\u2010Delta",)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("zetazine / gammazine / alphazine", ("alphazine", "gammazine", "zetazine")),
        ("gammazine retard", ("gammazine retard",)),
        ("gammazine retard and zetazine", ("gammazine retard", "zetazine")),
    ],
)
def test_every_name_in_a_text_is_given_but_those_that_a_longer_one_holds(
    text: str, names: tuple[str, ...]
) -> None:
    every = ("zetazine", "gammazine", "alphazine", "gammazine retard")
    fact = replace(fact_of("top"), condition_names=every)

    found = answers(record(conditions=(named(text),)), pack_of(fact))["top"]

    assert found.names == names


@pytest.mark.parametrize("medicines", [None, (), (named("gammazine"),), (named("other"),)])
@pytest.mark.parametrize("conditions", [None, (), (named("delta disease"),), (named("other"),)])
@pytest.mark.parametrize("incomplete", [(), ("medicines",), ("conditions",)])
def test_what_is_remembered_of_one_patient_changes_nothing_for_another(
    medicines: tuple[Recorded, ...] | None,
    conditions: tuple[Recorded, ...] | None,
    incomplete: tuple[IncompletePart, ...],
) -> None:
    of = replace(
        record(),
        medicines=medicines,
        conditions=conditions,
        incomplete=tuple(Incomplete(part, "only a part") for part in incomplete),
    )
    shared = compile_facts(letters())
    for other in (record(), record(medicines=(named("gammazine"),)), of):
        facts_of(shared, other, NOW, WOMAN)

    assert facts_of(shared, of, NOW, WOMAN) == facts_of(compile_facts(letters()), of, NOW, WOMAN)


class Counted(str):
    """A text that counts how often one was compared."""

    __slots__ = ()
    compared = 0
    __hash__ = str.__hash__

    def __eq__(self, other: object) -> bool:
        Counted.compared += 1
        return str(self) == str(other)


def test_a_long_list_is_not_compared_each_with_each() -> None:
    pairs = [(Counted(f"gamma {number}"), f"gamma {number}") for number in range(500)]

    assert len(_most_telling(pairs)) == 500
    assert Counted.compared < 5000


@pytest.mark.parametrize(
    ("entry", "yes"),
    [
        (coded(ICD_10_CM, f"U1{'1' * 500_000}"), True),
        (coded(ICD_10_CM, f"U2{'1' * 500_000}"), False),
        (named("delta " * 50_000), True),
        (named("delta " * 50_000 + "no delta"), True),
        (named("no " + "delta " * 50_000), False),
        (named("donor delta " * 25_000), True),
        (named("donor delta " * 25_000 + "donor"), False),
    ],
)
def test_a_long_code_or_text_is_read_in_time(entry: Recorded, yes: bool) -> None:
    fact = of_codes("U1", not_denied_inside=("donor delta",))
    pack = pack_of(fact)
    pack = replace(pack, scope=replace(pack.scope, denying=GENERAL))

    with ended_after(4):
        assert answers(record(conditions=(entry,)), pack)["codes"].known is yes
