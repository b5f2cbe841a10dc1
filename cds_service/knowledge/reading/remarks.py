# SPDX-License-Identifier: Apache-2.0
"""`remarks.yaml` -> what the cards of many rules say besides, with the checks of its texts."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace

from cds_service.knowledge.model.conditions import Condition
from cds_service.knowledge.model.messages import ENGLISH
from cds_service.knowledge.model.pack import CardText, Pack, Rule
from cds_service.knowledge.model.remarks import Remark, Remarks, RemarkText
from cds_service.knowledge.reading.card_texts import check_section
from cds_service.knowledge.reading.pack_shapes import RemarkShape, RemarksShape
from cds_service.knowledge.reading.phrases import Phrases
from cds_service.sourcefile.diagnostics import Problem, nearest
from cds_service.sourcefile.document import Document, Where

REMARKS_FILE = "remarks.yaml"


def read_remarks(shape: RemarksShape, reader: Phrases, rules: Collection[str]) -> Remarks:
    """The remarks; problems are noted in the reader."""
    for n, rule in enumerate(shape.on):
        _check_rule(rule, ("on", n), reader, rules)
    read = (_remark(line, ("remarks", n), reader, rules) for n, line in enumerate(shape.remarks))
    return Remarks(
        rules=frozenset(shape.on), each=tuple(remark for remark in read if remark is not None)
    )


def _remark(
    shape: RemarkShape, where: Where, reader: Phrases, rules: Collection[str]
) -> Remark | None:
    if (shape.when is None) == (shape.replaced is None):
        reader.problem("K106", where, "write either 'when:' or 'replaced: RULE'")
        return None
    if shape.replaced is not None:
        _check_rule(shape.replaced, (*where, "replaced"), reader, rules)
    when: Condition | None = None
    if shape.when is not None:
        when = reader.condition(shape.when, (*where, "when"))
        if when is None:
            return None
    if ENGLISH not in shape.says or shape.says.keys() != shape.in_short.keys():
        reader.problem("K105", where, "'says' and 'in short' have the same languages, en at least")
        return None
    return Remark(
        id=shape.id,
        when=when,
        replaced=shape.replaced,
        texts={
            language: RemarkText(says=says, in_short=shape.in_short[language])
            for language, says in shape.says.items()
        },
    )


def _check_rule(rule: str, where: Where, reader: Phrases, rules: Collection[str]) -> None:
    if rule not in rules:
        reader.problem("K301", where, f"there is no rule '{rule}'", nearest(rule, rules))


def check_remarks(pack: Pack, documents: Mapping[str, Document]) -> Iterator[Problem]:
    """Every problem of the texts of the remarks."""
    document = documents.get(REMARKS_FILE)
    some_rule = next((pack.rules[name] for name in sorted(pack.remarks.rules)), None)
    if document is None or some_rule is None:
        return
    for remark in pack.remarks.each:
        rule = pack.rules[remark.replaced] if remark.replaced else _saying(remark, some_rule)
        for language, text in remark.texts.items():
            written = CardText(
                language=language,
                file=document.file,
                lines=document.lines,
                summary="",
                detail="",
                also={},
            )
            for body in (text.says, text.in_short):
                yield from check_section(remark.id, body, rule.when, written, rule, pack)


def _saying(remark: Remark, rule: Rule) -> Rule:
    """A rule whose card appears just where the remark is said."""
    return rule if remark.when is None else replace(rule, when=remark.when, suggestions=())
