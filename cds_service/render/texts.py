# SPDX-License-Identifier: Apache-2.0
"""The texts of a rule, with the remarks of its card, compiled once and filled for one decision.

Everything a placeholder can name is put into the template's context, and nothing else is: a text
has no way to reach other data.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import tzinfo
from typing import NamedTuple, TypeAlias

from cds_service.amounts import shortened
from cds_service.copying import replace
from cds_service.knowledge.model.bounds import Earlier
from cds_service.knowledge.model.dependencies import earlier_tests
from cds_service.knowledge.model.messages import ENGLISH, Messages
from cds_service.knowledge.model.pack import (
    UNUSED_DATA,
    CardText,
    Measure,
    Pack,
    Rule,
)
from cds_service.labs.facts import FactAnswer
from cds_service.labs.result_selection import Frame
from cds_service.labs.unused_data import UnusedData
from cds_service.render.unused_text import unused_names
from cds_service.render.values import (
    Names,
    ResultText,
    Window,
    window_of,
)
from cds_service.rules.answer import Decision, Remarked
from cds_service.rules.evaluate import Test, compiled
from cds_service.text_templates import (
    SUMMARY_BELOW,
    CompiledText,
    compile_detail,
    compile_summary,
    placeholders,
)

Value: TypeAlias = str | ResultText | Names | dict[str, Window]
Maker: TypeAlias = Callable[[Decision], Value]

# Stands for a blank inside a value while a summary is cut. It is a private character, so no text
# from outside holds it (`render.sanitize`).
_GLUE = "\ue000"
_MORE = "…"
_UNUSED = UNUSED_DATA.replace(" ", "-")  # as a placeholder writes it


@dataclass(frozen=True, slots=True)
class TextTemplate:
    """A template and the makers of the values that its placeholders name."""

    template: CompiledText
    makers: Mapping[str, Maker]

    def values(self, decision: Decision) -> dict[str, Value]:
        """The value of every placeholder."""
        return {name: make(decision) for name, make in self.makers.items()}


@dataclass(frozen=True, slots=True)
class RuleTexts:
    """The texts of one rule in one language, ready to be filled."""

    summary: TextTemplate
    detail: TextTemplate
    also: Mapping[str, TextTemplate]
    summary_when: Mapping[str, TextTemplate]


@dataclass(frozen=True, slots=True)
class RemarkTexts:
    """What one remark says in one language, ready to be filled."""

    says: TextTemplate
    in_short: TextTemplate


class FilledRemark(NamedTuple):
    """What a remark says on one card."""

    says: str
    in_short: str


@dataclass(frozen=True, slots=True)
class _Setting:
    """What the placeholders of a text are filled from, besides the decision.

    `earlier` holds the window of the previous test of each marker that the rule compares with one.
    """

    pack: Pack
    zone: tzinfo
    messages: Messages
    earlier: Mapping[str, Earlier]
    offers: Mapping[str, tuple["_Offer", ...]]  # by rule whose card the text stands on
    is_about_set_aside: bool = False


@dataclass(frozen=True, slots=True)
class _Offer:
    """What a rule suggests, as a placeholder names its order; it is meant where `when` holds."""

    order: str
    window: Window
    when: Test | None


def compile_texts(rule: Rule, pack: Pack, zone: tzinfo, language: str) -> RuleTexts:
    """The rule's texts; in English, or in any language, if there is none in this one."""
    texts = rule.texts
    text: CardText = texts.get(language) or texts.get(ENGLISH) or next(iter(texts.values()))
    messages = pack.messages_in(language)
    setting = _Setting(
        pack,
        zone,
        messages,
        earlier_tests(rule, pack),
        {rule.id: _offers(rule, messages)},
        is_about_set_aside=not rule.about,
    )
    return RuleTexts(
        summary=_compiled(compile_summary(text.summary), text.summary, setting),
        detail=_compiled(compile_detail(text.detail), text.detail, setting),
        also={
            word: _compiled(compile_detail(body), body, setting) for word, body in text.also.items()
        },
        summary_when={
            word: _compiled(compile_summary(body), body, setting)
            for word, body in text.summary_when.items()
        },
    )


def compile_remarks(pack: Pack, zone: tzinfo, language: str) -> dict[str, RemarkTexts]:
    """The texts of the pack's remarks by their ids; in English where there is none in this one."""
    messages = pack.messages_in(language)
    offers = {name: _offers(pack.rules[name], messages) for name in pack.remarks.rules}
    setting = _Setting(pack, zone, messages, {}, offers)
    compiled_remarks: dict[str, RemarkTexts] = {}
    for remark in pack.remarks.each:
        text = remark.text_in(language)
        compiled_remarks[remark.id] = RemarkTexts(
            says=_compiled(compile_detail(text.says), text.says, setting),
            in_short=_compiled(compile_summary(text.in_short), text.in_short, setting),
        )
    return compiled_remarks


def _filled_text(text: TextTemplate, decision: Decision) -> str:
    """A text on its own, filled for a decision."""
    return text.template.render(text.values(decision)).strip()


def fill_summary(texts: RuleTexts, decision: Decision) -> str:
    """The summary, under 140 characters: a list of names is shortened before any word is lost."""
    said = (texts.summary_when[word] for word in texts.summary_when if word in decision.says)
    text = next(said, texts.summary)
    values = text.values(decision)
    summary = text.template.render(values)
    if fits_summary(summary):
        return summary
    longest = max(
        (len(value.every) for value in values.values() if isinstance(value, Names)), default=0
    )
    for most in range(longest - 1, -1, -1):
        summary = text.template.render(_with_fewer_names(values, most))
        if fits_summary(summary):
            return summary
    return _cut(text.template.render(_with_fewer_names(values, 0), glue=_GLUE))


def fits_summary(text: str) -> bool:
    """Whether the text is short enough, in characters and in UTF-16 units.

    Some clients count the one and some the other; most texts are far from both.
    """
    if len(text) >= SUMMARY_BELOW:
        return False
    return text.isascii() or len(text.encode("utf-16-le")) // 2 < SUMMARY_BELOW


def fill_detail(texts: RuleTexts, decision: Decision) -> str:
    """The detail and every section that the decision says, as Markdown."""
    sections = [texts.detail, *(texts.also[word] for word in decision.says if word in texts.also)]
    parts = (_filled_text(section, decision) for section in sections)
    return "\n\n".join(part for part in parts if part)


def _with_fewer_names(values: Mapping[str, Value], most: int) -> dict[str, Value]:
    return {
        name: replace(value, most=most)
        if isinstance(value, Names) and len(value.every) > most
        else value
        for name, value in values.items()
    }


def _cut(text: str) -> str:
    """The text up to the last whole word or value that leaves room for the sign of the cut."""
    words = text.split(" ")
    while len(words) > 1 and not fits_summary(" ".join(words) + _MORE):
        words.pop()
    return (" ".join(words).replace(_GLUE, " ") + _MORE)[: SUMMARY_BELOW - 1]


def filled_remarks(
    decision: Decision, texts: Mapping[str, RemarkTexts]
) -> tuple[FilledRemark, ...]:
    """The remarks of a card in words, in their order."""
    return tuple(_filled(remark, decision, texts[remark.remark]) for remark in decision.remarks)


def _filled(remarked: Remarked, decision: Decision, texts: RemarkTexts) -> FilledRemark:
    about = replace(decision, frame=remarked.frame, trigger=remarked.trigger)
    return FilledRemark(
        says=_filled_text(texts.says, about), in_short=_filled_text(texts.in_short, about)
    )


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
    plain = _words_alone(text)
    for remark in remarks:
        if _words_alone(remark.says) not in plain and _words_alone(remark.in_short) not in plain:
            yield remark.says


def _words_alone(markdown: str) -> str:
    """The words alone, to find them in other text."""
    return markdown.replace("*", "").replace("\\", "").casefold()


def _compiled(template: CompiledText, source: str, setting: _Setting) -> TextTemplate:
    names = {placeholder.path[0] for placeholder in placeholders(source)}
    return TextTemplate(template, {name.replace("-", "_"): _maker(name, setting) for name in names})


def _maker(name: str, setting: _Setting) -> Maker:
    """What makes the value of a placeholder; the pack's checks know the same names."""
    pack, messages = setting.pack, setting.messages
    if name == "result" and setting.is_about_set_aside:
        return lambda decision: _set_aside(decision, setting)
    if name == _UNUSED:
        return lambda decision: _unused(decision, setting)
    if name == "order":
        return lambda decision: _windows(decision, setting)
    if name in pack.facts:
        return lambda decision: _names(decision.frame.facts[name], messages)
    if name in pack.measures:
        return lambda decision: measure_words(decision.frame, pack.measures[name], messages)
    if name == "trigger":
        return lambda decision: _result(decision.frame, decision.trigger or "", setting)
    return lambda decision: _result(decision.frame, name, setting)


def _names(answer: FactAnswer, messages: Messages) -> Names:
    return Names(answer.names, messages, sent=answer.as_sent)


def measure_words(frame: Frame, measure: Measure, messages: Messages) -> str:
    """The value of a measure in this frame with its decimals, or that it is not known."""
    computed = frame.measures.get(measure.id)
    if computed is None or computed.value is None:
        return messages.text("value.not known")
    return shortened(computed.value, measure.decimals)


def _result(frame: Frame, name: str, setting: _Setting) -> ResultText:
    reading = frame.readings.get(name)
    if reading is not None and name in setting.earlier:
        reading = replace(reading, previous=frame.previous(name, setting.earlier[name]))
    return ResultText(
        messages=setting.messages,
        zone=setting.zone,
        marker=setting.pack.markers.get(name),
        reading=reading,
        now=frame.now,
    )


def _set_aside(decision: Decision, setting: _Setting) -> ResultText:
    item = decision.frame.set_aside
    marker = None if item is None else setting.pack.markers.get(item.marker)
    return ResultText(messages=setting.messages, zone=setting.zone, marker=marker, item=item)


def _unused(decision: Decision, setting: _Setting) -> Names:
    unused = decision.frame.unused or UnusedData()
    return unused_names(unused, setting.pack, setting.messages)


def _offers(rule: Rule, messages: Messages) -> tuple[_Offer, ...]:
    return tuple(
        _Offer(
            order=suggestion.order.replace("-", "_"),
            window=window_of(suggestion, messages),
            when=None if suggestion.when is None else compiled(suggestion.when),
        )
        for suggestion in rule.suggestions
    )


def _windows(decision: Decision, setting: _Setting) -> dict[str, Window]:
    """The window of each order: as offered, or as the rule has it if it is withheld.

    Of several suggestions of an order the first counts whose condition holds, else the first.
    """
    settled: set[str] = set()
    windows: dict[str, Window] = {}
    for offer in setting.offers[decision.rule.id]:
        if offer.order in settled:
            continue
        meant = offer.when is None or offer.when(decision.frame) is True
        if meant or offer.order not in windows:
            windows[offer.order] = offer.window
        if meant:
            settled.add(offer.order)
    for order in decision.orders:
        windows[order.order.replace("-", "_")] = window_of(order, setting.messages)
    return windows
