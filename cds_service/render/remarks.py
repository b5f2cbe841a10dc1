# SPDX-License-Identifier: Apache-2.0
"""The remarks of a card: in its summary as far as there is room, and in its text."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from cds_service.copying import replace
from cds_service.knowledge.model.messages import Messages
from cds_service.render.texts import RemarkTexts, filled, fits_summary
from cds_service.rules.answer import Decision, Remarked


class FilledRemark(NamedTuple):
    """What a remark says on one card."""

    says: str
    in_short: str


def filled_remarks(
    decision: Decision, texts: Mapping[str, RemarkTexts]
) -> tuple[FilledRemark, ...]:
    """The remarks of a card in words, in their order."""
    return tuple(_filled(remark, decision, texts[remark.remark]) for remark in decision.remarks)


def _filled(remarked: Remarked, decision: Decision, texts: RemarkTexts) -> FilledRemark:
    about = replace(decision, frame=remarked.frame, trigger=remarked.trigger)
    return FilledRemark(says=filled(texts.says, about), in_short=filled(texts.in_short, about))


def summary_with(summary: str, remarks: Iterable[FilledRemark], messages: Messages) -> str:
    """The summary with every remark that it does not hold yet and has room for."""
    fitting: list[str] = []
    longer = summary
    for remark in remarks:
        if remark.in_short.casefold() in summary.casefold():
            continue
        together = "; ".join((*fitting, remark.in_short))
        text = messages.text("card.summary remark", summary=summary, remark=together)
        if fits_summary(text):
            fitting.append(remark.in_short)
            longer = text
    return longer


def text_with(text: str, remarks: Sequence[FilledRemark], messages: Messages) -> str:
    """The text of a card and, on a line, the remarks that it does not hold yet, even in short."""
    if not remarks:
        return text
    left = "; ".join(_left_out(text, remarks))
    return f"{text}\n\n{messages.text('card.remarks', remarks=left)}" if left else text


def _left_out(text: str, remarks: Iterable[FilledRemark]) -> Iterator[str]:
    plain = _plain(text)
    for remark in remarks:
        if _plain(remark.says) not in plain and _plain(remark.in_short) not in plain:
            yield remark.says


def _plain(markdown: str) -> str:
    """The words alone, to find them in other text."""
    return markdown.replace("*", "").replace("\\", "").casefold()
