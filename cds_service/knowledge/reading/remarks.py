# SPDX-License-Identifier: Apache-2.0
"""`remarks.yaml` -> what the cards of many rules say besides, with the checks of its texts."""

from collections.abc import Collection

from cds_service.knowledge.model.conditions import Condition
from cds_service.knowledge.model.messages import ENGLISH
from cds_service.knowledge.model.remarks import Remark, Remarks, RemarkText
from cds_service.knowledge.reading.pack_shapes import RemarkShape, RemarksShape
from cds_service.knowledge.reading.phrases import Phrases
from cds_service.sourcefile.diagnostics import nearest
from cds_service.sourcefile.document import Where

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
