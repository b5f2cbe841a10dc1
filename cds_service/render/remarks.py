# SPDX-License-Identifier: Apache-2.0
"""The remarks of a card: in its summary as far as there is room, and in its text."""

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from cds_service.knowledge.model.messages import Messages
from cds_service.render.texts import RemarkTexts, fill_remark, fits_summary
from cds_service.rules.answer import Decision


class FilledRemark(NamedTuple):
    """What a remark says on one card."""

    says: str
    in_short: str


def filled_remarks(
    decision: Decision, texts: Mapping[str, RemarkTexts]
) -> tuple[FilledRemark, ...]:
    """The remarks of a card in words, in their order."""
    return tuple(
        FilledRemark(
            says=fill_remark(texts[one.remark].says, decision, one),
            in_short=fill_remark(texts[one.remark].in_short, decision, one),
        )
        for one in decision.remarks
    )


def summary_with(summary: str, remarks: Iterable[FilledRemark], messages: Messages) -> str:
    """The summary with every remark that it does not hold yet and has room for."""
    fitting: list[str] = []
    longer = summary
    for one in remarks:
        if one.in_short.casefold() in summary.casefold():
            continue
        together = "; ".join((*fitting, one.in_short))
        text = messages.text("card.summary remark", summary=summary, remark=together)
        if fits_summary(text):
            fitting.append(one.in_short)
            longer = text
    return longer


def text_with(text: str, remarks: Iterable[FilledRemark], messages: Messages) -> str:
    """The text of a card and, on a line, the remarks that it does not hold yet, even in short."""
    left = "; ".join(_left_out(text, remarks))
    return f"{text}\n\n{messages.text('card.remarks', remarks=left)}" if left else text


def _left_out(text: str, remarks: Iterable[FilledRemark]) -> Iterator[str]:
    plain = _plain(text)
    for one in remarks:
        if _plain(one.says) not in plain and _plain(one.in_short) not in plain:
            yield one.says


def _plain(markdown: str) -> str:
    """The words alone, to find them in other text."""
    return markdown.replace("*", "").replace("\\", "").casefold()
