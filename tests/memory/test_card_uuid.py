# SPDX-License-Identifier: Apache-2.0
"""The uuid of a card says what the card was, to those who made it and to no one else."""

from uuid import RFC_4122, UUID

import pytest
from hypothesis import given
from hypothesis import strategies as some

from cds_service.knowledge.model.pack import INDICATORS
from cds_service.memory.card_uuid import CardUuids
from cds_service.store.store import SUBJECT_BYTES, CardOrigin, RuleVersion

RULE = RuleVersion("liver", "alt-very-low", "1.0.0")
CLIENT = "https://ehr.example.org"
UUIDS = CardUuids(b"a key", is_keyed=True)

origins = some.builds(
    CardOrigin,
    rule=some.builds(RuleVersion, some.text(), some.text(), some.text()),
    indicator=some.sampled_from(INDICATORS),
    subject=some.binary(min_size=SUBJECT_BYTES, max_size=SUBJECT_BYTES),
)


@given(origins, some.text(), some.text())
def test_what_goes_in_comes_out(origin: CardOrigin, client: str, call: str) -> None:
    uuid = UUIDS.make(origin, client, call)

    assert (uuid.version, uuid.variant) == (8, RFC_4122)
    assert UUIDS.read(str(uuid), client, [RULE, origin.rule]) == origin
    assert UUIDS.make(origin, client, call) == uuid


def test_two_views_and_two_subjects_have_two_uuids() -> None:
    origin = CardOrigin(RULE, "info", bytes(6))
    other = origin._replace(subject=b"\1" + bytes(5))

    made = {
        UUIDS.make(card_origin, CLIENT, call)
        for card_origin in (origin, other)
        for call in ("a", "b")
    }

    assert len(made) == 4


def test_the_indicator_and_the_rule_are_part_of_it() -> None:
    origin = CardOrigin(RULE, "info", bytes(6))
    others = [origin._replace(indicator=name) for name in INDICATORS]
    others += [
        origin._replace(rule=RULE._replace(version=version)) for version in ("1.0.1", "2.0.0")
    ]

    assert len({UUIDS.make(card_origin, CLIENT, "a") for card_origin in others}) == 5


def test_every_bit_that_is_changed_breaks_the_seal() -> None:
    uuid = UUIDS.make(CardOrigin(RULE, "critical", bytes(range(6))), CLIENT, "call")
    rules = [RULE, *(RuleVersion("liver", f"rule-{n}", "1.0.0") for n in range(5000))]

    for bit in range(128):
        assert UUIDS.read(str(UUID(int=uuid.int ^ 1 << bit)), CLIENT, rules) is None


def test_rules_that_share_a_code_are_told_apart_by_the_seal() -> None:
    rules = [RuleVersion("liver", f"rule-{n}", "1.0.0") for n in range(5000)]  # of 4096 codes

    for rule in rules[::100]:
        origin = CardOrigin(rule, "info", bytes(6))
        assert UUIDS.read(str(UUIDS.make(origin, CLIENT, "a")), CLIENT, rules) == origin


@pytest.mark.parametrize(
    ("uuids", "client", "rules"),
    [
        (UUIDS, "https://other.example.org", [RULE]),
        (UUIDS, CLIENT, [RULE._replace(version="1.0.1")]),
        (UUIDS, CLIENT, []),
        (CardUuids(b"another key", is_keyed=True), CLIENT, [RULE]),
    ],
    ids=["another client", "another version", "no rule", "another key"],
)
def test_what_is_not_ours_is_not_read(
    uuids: CardUuids, client: str, rules: list[RuleVersion]
) -> None:
    uuid = UUIDS.make(CardOrigin(RULE, "info", bytes(6)), CLIENT, "call")

    assert UUIDS.read(str(uuid), CLIENT, [RULE]) is not None
    assert uuids.read(str(uuid), client, rules) is None


@pytest.mark.parametrize(
    "card",
    [
        "",
        "card",
        "123456",
        "4e0a3a1e-3283-4575-ab82-028d55fe2719",
        "7d9f1c52-3f0e-5b7a-9a53-6c2f0d8e41b7",
    ],
)
def test_what_is_no_uuid_of_version_8_is_not_read(card: str) -> None:
    assert UUIDS.read(card, CLIENT, [RULE]) is None


def test_a_subject_that_is_no_keyed_hash_is_not_given_out() -> None:
    uuids = CardUuids(b"a key", is_keyed=False)
    uuid = uuids.make(CardOrigin(RULE, "info", bytes(6)), CLIENT, "call")

    assert uuids.read(str(uuid), CLIENT, [RULE]) == CardOrigin(RULE, "info", b"")


def test_the_fields_lie_where_the_module_says() -> None:
    uuid = UUIDS.make(CardOrigin(RULE, "critical", b"\x01\x02\x03\x04\x05\x06"), CLIENT, "call")

    assert str(uuid).startswith("01020304-0506-8")
    assert uuid.int >> 60 & 0b1111 == 0b1010  # the variant, then the indicator
