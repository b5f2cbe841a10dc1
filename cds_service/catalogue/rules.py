# SPDX-License-Identifier: Apache-2.0
"""The rule catalogue: every rule in words from its tree, with cases, evidence and version."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from cds_service.catalogue.other_cards import RelatedRule, quiet, replaces, yields_to
from cds_service.catalogue.suggestions import SuggestionView, suggestion_view
from cds_service.catalogue.truth_tables import Table, truth_tables
from cds_service.decide import Program, compile_pack
from cds_service.errors import UnknownPage
from cds_service.explanation.clauses import (
    Clause,
    WithholdingClause,
    clause_of,
    reasons_of,
    title_of,
)
from cds_service.explanation.view import (
    TIME_CRITICAL,
    Cited,
    NamedView,
    SiteLine,
    View,
    cited,
    pack_named,
    site_lines,
)
from cds_service.knowledge.checking.lock import Versions, meaning_hash
from cds_service.knowledge.model.conditions import Condition, expanded
from cds_service.knowledge.model.dependencies import dependencies_of, sources_of
from cds_service.knowledge.model.pack import (
    INDICATORS,
    PATIENT,
    UNUSED_DATA,
    CardText,
    Change,
    Indicator,
    Pack,
    Rule,
)
from cds_service.knowledge.model.status import approval
from cds_service.service import Knowledge


class RuleEntry(View, frozen=True, kw_only=True):
    """A rule in the list."""

    id: str
    title: str
    version: str
    status: str
    indicator: Indicator
    time_critical: bool = False
    about: tuple[str, ...]  # titles
    markers: tuple[str, ...] = ()  # ids of every marker that it reads
    hooks: tuple[str, ...]
    when: str
    pack: str


class Release(View, frozen=True, kw_only=True):
    """A version, its day, what changed, and the hash of its meaning if the lock has it."""

    version: str
    date: str
    change: str
    meaning: str = ""


class PackEntry(View, frozen=True, kw_only=True):
    """A pack with its versions, newest first."""

    id: str
    title: str
    version: str
    history: tuple[Release, ...]


class RuleList(View, frozen=True, kw_only=True):
    """The catalogue, as far as the filter lets it through."""

    rules: tuple[RuleEntry, ...]
    packs: tuple[PackEntry, ...]
    count: int
    markers: tuple[NamedView, ...]
    approval: str = ""
    time_critical: tuple[NamedView, ...]
    notices: tuple[str, ...]


class UrgencyView(View, frozen=True, kw_only=True):
    """A more urgent indicator under a condition."""

    indicator: Indicator
    when: Clause


class ConditionalText(View, frozen=True, kw_only=True):
    """A part of the text that appears under a condition."""

    word: str
    when: Clause
    text: str


class CardTextView(View, frozen=True, kw_only=True):
    """The card's text with its placeholders: a line of plain text, then Markdown."""

    language: str
    summary: str
    detail: str
    also: tuple[ConditionalText, ...] = ()
    summary_when: tuple[ConditionalText, ...] = ()


class SourceSupport(View, frozen=True, kw_only=True):
    """What a source says and which parts of the rule stand on it."""

    backs: tuple[str, ...]
    says: str
    source: Cited | None = None  # none: a decision of the pack's authors


class Version(View, frozen=True, kw_only=True):
    """The version, the hash of what the rule means here, and every version there was."""

    version: str
    meaning: str
    recorded: bool  # whether the lock holds this very meaning
    history: tuple[Release, ...]


class RulePage(View, frozen=True, kw_only=True):
    """One rule, whole."""

    entry: RuleEntry
    pack: str
    approval: str
    time_critical: str = ""
    about: tuple[NamedView, ...]
    when: Clause
    on_order_hooks: Clause | None = None
    unless: tuple[WithholdingClause, ...] = ()
    urgencies: tuple[UrgencyView, ...] = ()
    suggestions: tuple[SuggestionView, ...] = ()
    texts: tuple[CardTextView, ...]
    cases: tuple[Table, ...] = ()
    evidence: tuple[SourceSupport, ...]
    sources: tuple[Cited, ...]
    replaces: tuple[RelatedRule, ...] = ()
    yields_to: tuple[RelatedRule, ...] = ()
    version: Version
    site: tuple[SiteLine, ...] = ()
    quiet: str = ""  # for how long it is not shown again
    switched_off: str = ""  # why the site switched it off
    last_review: str
    notices: tuple[str, ...]


_WITHOUT_RESULT = {PATIENT: "the patient", UNUSED_DATA: "data that could not be used"}


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Every rule of every pack; a rule's page is made when it is first asked for."""

    knowledge: Knowledge
    _pages: dict[str, RulePage] = field(default_factory=dict)

    def entries(self, *, text: str = "", indicator: str = "", marker: str = "") -> RuleList:
        """The rules whose id, title or condition holds the text, and so on."""
        every = [entry_of(rule, pack) for rule, pack in self._rules()]
        wanted = text.casefold().split()
        found = [
            item
            for item in every
            if (not indicator or item.indicator == indicator)
            and (not marker or marker in item.markers)
            and all(word in _searched(item) for word in wanted)
        ]
        packs = self.knowledge.packs
        used = {name for item in every for name in item.markers}
        return RuleList(
            rules=tuple(found),
            packs=tuple(_pack_entry(pack) for pack in packs),
            count=len(every),
            markers=tuple(
                NamedView(id=marker.id, title=marker.title)
                for pack in packs
                for marker in pack.markers.values()
                if marker.id in used
            ),
            approval=" ".join(dict.fromkeys(approval(pack) for pack in packs)),
            time_critical=tuple(
                NamedView(id=item.id, title=item.title) for item in every if item.time_critical
            ),
            notices=tuple(dict.fromkeys(notice for pack in packs for notice in pack.notices)),
        )

    def page(self, rule_id: str) -> RulePage:
        """The page of a rule; raises `UnknownPage`."""
        if rule_id not in self._pages:
            pair = next((rule for rule in self._rules() if rule[0].id == rule_id), None)
            if pair is None:
                raise UnknownPage("There is no rule with this id; GET /rules lists them.")
            self._pages[rule_id] = _page(*pair, self.knowledge)
        return self._pages[rule_id]

    def _rules(self) -> Iterator[tuple[Rule, Pack]]:
        return ((rule, pack) for pack in self.knowledge.packs for rule in by_severity(pack))


def by_severity(pack: Pack) -> list[Rule]:
    """The rules of a pack as people read them: the most severe first, then by rank."""
    ranked = pack.cards.rank if pack.cards else ()
    places = {rule: place for place, rule in enumerate(ranked)}

    def place(rule: Rule) -> tuple[bool, int, int]:
        severity = INDICATORS.index(rule.indicator)
        return rule.status != "active", -severity, places.get(rule.id, len(places))

    return sorted(pack.rules.values(), key=place)


def entry_of(rule: Rule, pack: Pack) -> RuleEntry:
    """The rule as an entry of a list."""
    return RuleEntry(
        id=rule.id,
        title=rule.title,
        version=rule.version,
        status=rule.status,
        indicator=rule.indicator,
        time_critical=rule.time_critical,
        about=tuple(subject.title for subject in _about(rule, pack)),
        markers=dependencies_of(rule, pack).markers,
        hooks=rule.hooks,
        when=expanded(rule.when).in_words(),
        pack=pack.id,
    )


def program_of(knowledge: Knowledge, pack: Pack) -> Program:
    """The compiled pack that answers calls."""
    for by_hook in knowledge.services.values():
        for served in by_hook.values():
            if served.program.pack.id == pack.id:
                return served.program
    return compile_pack(pack)


def _searched(entry: RuleEntry) -> str:
    return " ".join((entry.id, entry.title, entry.when, *entry.about)).casefold()


def _about(rule: Rule, pack: Pack) -> tuple[NamedView, ...]:
    if not rule.about:
        return (NamedView(id="", title="results that were set aside"),)
    return tuple(
        NamedView(id="", title=_WITHOUT_RESULT[name])
        if name in _WITHOUT_RESULT
        else NamedView(id=name, title=title_of(name, pack))
        for name in rule.about
    )


def _page(rule: Rule, pack: Pack, knowledge: Knowledge) -> RulePage:
    files = knowledge.files.get(pack.id)
    return RulePage(
        entry=entry_of(rule, pack),
        pack=pack_named(pack),
        approval=approval(pack),
        time_critical=TIME_CRITICAL if rule.time_critical else "",
        about=_about(rule, pack),
        when=clause_of(rule.when, pack),
        on_order_hooks=_maybe(rule.on_order_hooks, pack),
        unless=reasons_of(rule.unless, pack),
        urgencies=tuple(
            UrgencyView(indicator=urgency.indicator, when=clause_of(urgency.when, pack))
            for urgency in rule.urgencies
        ),
        suggestions=tuple(suggestion_view(suggestion, pack) for suggestion in rule.suggestions),
        texts=tuple(_text(text, rule, pack) for text in rule.texts.values()),
        cases=truth_tables(rule.id, files, program_of(knowledge, pack))
        if files is not None and rule.status == "active"
        else (),
        evidence=tuple(
            SourceSupport(
                backs=tuple(title_of(back, pack) for back in line.backs),
                says=" ".join(line.says.split()),
                source=cited(pack.sources[line.source]) if line.source else None,
            )
            for line in rule.evidence
        ),
        sources=tuple(cited(source) for source in sources_of(rule, pack)),
        replaces=tuple(replaces(rule, pack)),
        yields_to=tuple(yields_to(rule, pack)),
        version=_version(rule, pack, knowledge),
        site=site_lines(pack, pack.site.read.get(rule.id, ()) if pack.site else ()),
        quiet=quiet(rule),
        switched_off=_why_off(rule, pack),
        last_review=rule.last_review or "",
        notices=pack.notices,
    )


def _why_off(rule: Rule, pack: Pack) -> str:
    off = pack.site.switched_off if pack.site else ()
    return next((entry.because for entry in off if entry.rule == rule.id), "")


def _maybe(condition: Condition | None, pack: Pack) -> Clause | None:
    return None if condition is None else clause_of(condition, pack)


def _text(text: CardText, rule: Rule, pack: Pack) -> CardTextView:
    return CardTextView(
        language=text.language,
        summary=text.summary,
        detail=text.detail,
        also=_also(text.also, rule, pack),
        summary_when=_also(text.summary_when, rule, pack),
    )


def _also(texts: Mapping[str, str], rule: Rule, pack: Pack) -> tuple[ConditionalText, ...]:
    return tuple(
        ConditionalText(word=word, when=clause_of(rule.also_say[word], pack), text=body)
        for word, body in texts.items()
    )


def _version(rule: Rule, pack: Pack, knowledge: Knowledge) -> Version:
    lock, meaning = knowledge.locks.get(pack.id), meaning_hash(rule)
    locked: Versions = lock.rules.get(rule.id, {}) if lock else {}
    return Version(
        version=rule.version,
        meaning=meaning,
        recorded=locked.get(rule.version) == meaning,
        history=_releases(rule.history, locked),
    )


def _pack_entry(pack: Pack) -> PackEntry:
    return PackEntry(
        id=pack.id, title=pack.title, version=pack.version, history=_releases(pack.history, {})
    )


def _releases(history: Iterable[Change], locked: Versions) -> tuple[Release, ...]:
    return tuple(
        Release(
            version=change.version,
            date=change.date,
            change=change.change,
            meaning=locked.get(change.version, ""),
        )
        for change in history
    )
