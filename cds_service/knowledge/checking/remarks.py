# SPDX-License-Identifier: Apache-2.0
"""The checks of the texts of remarks."""

from collections.abc import Iterator, Mapping
from dataclasses import replace

from cds_service.knowledge.checking.card_texts import check_section
from cds_service.knowledge.model.pack import CardText, Pack, Rule
from cds_service.knowledge.model.remarks import Remark
from cds_service.knowledge.reading.remarks import REMARKS_FILE
from cds_service.sourcefile.diagnostics import Problem
from cds_service.sourcefile.document import Document


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
