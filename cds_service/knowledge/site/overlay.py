# SPDX-License-Identifier: Apache-2.0
"""A site file: what one hospital or laboratory decides otherwise, without editing a pack.

Its values are laid over the documents before the pack is built, so that whatever reads the pack
reads the site's value; what was changed is kept in `Pack.site`. How a site file is written stands
in `docs/how-to/site-values.md`.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from cds_service.errors import KnowledgeError
from cds_service.knowledge.model.code_systems import Code, is_well_formed
from cds_service.knowledge.model.pack import Marker, Order, Pack, Rule
from cds_service.knowledge.model.site import SiteChanges, SiteValue, SwitchedOff
from cds_service.knowledge.reading.build import build_pack, load_library
from cds_service.knowledge.reading.file_reader import PackCache
from cds_service.knowledge.reading.folder import PackFiles
from cds_service.knowledge.site.file import SiteFile, ValueShape, no_such_pack, read_site
from cds_service.knowledge.site.markers import with_spellings
from cds_service.knowledge.site.paths import (
    changeable,
    find,
    has_number,
    inside,
    is_decision,
    same_words,
)
from cds_service.knowledge.site.wording import MARKERS, is_limit, with_readers
from cds_service.sourcefile.diagnostics import Mark, Problem, nearest
from cds_service.sourcefile.document import Data, Document, Where

SITE = "site"  # who is named for a limit that a site set
_SUGGEST, _PRIORITY, _ROUTINE = "suggest", "priority", "routine"


def load_library_at(cards: Path, site_file: Path | None) -> tuple[tuple[Pack, PackFiles], ...]:
    """Every pack below `cards` with its files, one of the packs as the site changed it.

    Raises `KnowledgeError` with all problems, of the packs first. The files are the packs' own.
    """
    library = load_library(cards)
    if site_file is None:
        return library
    site = read_site(site_file)
    if all(pack.id != site.shape.pack for pack, _ in library):
        raise KnowledgeError((no_such_pack(site, [pack.id for pack, _ in library]),))
    return tuple((_at(site, pack, files), files) for pack, files in library)


def load_packs_at(cards: Path, site_file: Path | None) -> tuple[Pack, ...]:
    """Every pack below `cards`, one of them as the site changed it; raises `KnowledgeError`."""
    return tuple(pack for pack, _ in load_library_at(cards, site_file))


def _at(site: SiteFile, pack: Pack, files: PackFiles) -> Pack:
    if pack.id != site.shape.pack:
        return pack
    changed, problems = site_pack(files, site)
    if changed is None or problems:
        raise KnowledgeError(tuple(problems))
    # What was signed is the pack; the values of the site are named beside it.
    return replace(changed, signature=pack.signature)


def site_pack(
    files: PackFiles,
    site: SiteFile,
    cache: PackCache | None = None,
    moved: tuple[int, str] | None = None,
) -> tuple[Pack | None, list[Problem]]:
    """The pack of these files as the site changed it, and every problem of the site file.

    With `moved`, the number of a value and a text, that text stands in the value's place; so the
    nudger asks whether somebody would notice.
    """
    reader = _Overlay(files, site)
    changed, values = reader.overlaid()
    if moved is not None and not reader.problems:
        value = values[moved[0]]
        data = _replaced(changed.documents[value.file].data, value.where, moved[1])
        changed = changed.having(value.file, data)
    pack, problems = build_pack(changed, cache)
    if pack is None:
        return None, [*reader.problems, *problems]
    off = reader.switched_off(pack)
    codes = reader.codes(pack)
    pack, spellings, more = with_spellings(pack, site)
    problems = [*reader.problems, *problems, *more]
    if problems:
        return None, problems
    changes = SiteChanges(
        site=site.shape.site,
        reviewed=site.shape.reviewed,
        values=values,
        switched_off=tuple(off.values()),
        orders=tuple(codes),
        spellings=spellings,
    )
    return _finished(pack, changes, off, codes), []


def _finished(
    pack: Pack, changes: SiteChanges, off: Mapping[str, SwitchedOff], codes: Mapping[str, Code]
) -> Pack:
    """The pack with everything of the site that is no text of a document."""
    rules = {name: _rule(rule, off) for name, rule in pack.rules.items()}
    orders = {name: _order(order, codes) for name, order in pack.orders.items()}
    markers = dict(pack.markers)
    for value in changes.values:
        if is_limit(value):
            name = value.file.removeprefix(MARKERS).removesuffix(".yaml")
            markers[name] = _credited(markers[name], value)
    pack = replace(pack, markers=markers, rules=rules, orders=orders)
    return replace(pack, site=with_readers(pack, changes))


def _credited(marker: Marker, value: SiteValue) -> Marker:
    """The marker whose changed limit no longer bears the name of the old one's source."""
    limits = {
        kind: tuple(
            replace(choice, credited=SITE) if value.where[:2] == (kind, n) else choice
            for n, choice in enumerate(choices)
        )
        for kind, choices in marker.limits.items()
    }
    return replace(marker, limits=limits)


def _rule(rule: Rule, off: Mapping[str, SwitchedOff]) -> Rule:
    return replace(rule, status="switched off") if rule.id in off else rule


def _order(order: Order, codes: Mapping[str, Code]) -> Order:
    code = codes.get(order.id)
    if code is None:
        return order
    equivalents = order.equivalents | {(code.system, code.code)}
    return replace(order, site_code=code, equivalents=equivalents)


class _Overlay:
    """Lays the site's values over the documents of a pack and collects the problems."""

    def __init__(self, files: PackFiles, site: SiteFile) -> None:
        self.files = files
        self.site = site
        self.problems: list[Problem] = []

    def overlaid(self) -> tuple[PackFiles, tuple[SiteValue, ...]]:
        """The files with the site's values, each marked with its line in the site file."""
        documents = dict(self.files.documents)
        values: list[SiteValue] = []
        places: set[tuple[str, Where]] = set()
        for n, shape in enumerate(self.site.shape.values):
            value = self._value(shape, ("values", n))
            if value is None:
                continue
            if (value.file, value.where) in places:
                self._problem("K805", ("values", n, "at"), "this place is changed twice")
                continue
            places.add((value.file, value.where))
            values.append(value)
            mark = self.site.document.mark(("values", n, "to"))
            documents[value.file] = _with_value(documents[value.file], value, mark)
        return replace(self.files, documents=documents), tuple(values)

    def switched_off(self, pack: Pack) -> dict[str, SwitchedOff]:
        """The rules that are switched off, by id."""
        off: dict[str, SwitchedOff] = {}
        for n, line in enumerate(self.site.shape.switched_off):
            where: Where = ("switched off", n, "rule")
            rule = pack.rules.get(line.rule)
            if rule is None:
                message = f"there is no rule '{line.rule}'"
                self._problem("K802", where, message, nearest(line.rule, pack.rules))
            elif rule.status != "active":
                self._problem("K803", where, f"the rule is {rule.status}, so it is silent already")
            elif line.rule in off:
                self._problem("K805", where, "this rule is switched off twice")
            else:
                off[line.rule] = SwitchedOff(rule=line.rule, because=line.because)
        return off

    def codes(self, pack: Pack) -> dict[str, Code]:
        """The site's own codes, by order id."""
        codes: dict[str, Code] = {}
        for name, line in self.site.shape.order_codes.items():
            where: Where = ("order codes", name)
            code = Code(system=line.system, code=line.code, name=line.name)
            if name not in pack.orders:
                message = f"there is no order '{name}'"
                self._problem("K802", where, message, nearest(name, pack.orders))
            elif not is_well_formed(code.system, code.code):
                message = f"the check digit of {code.code} is wrong"
                self._problem("K303", (*where, "code"), message, "look the code up again")
            elif (owner := _owner(code, pack, codes)) is not None:
                message = f"the code {code.code} already stands for {owner}"
                self._problem("K302", (*where, "code"), message)
            else:
                codes[name] = code
        return codes

    def _value(self, shape: ValueShape, where: Where) -> SiteValue | None:
        place = self._place(shape, where)
        if place is None:
            return None
        document = _with_priorities(self.files.documents[shape.change])
        was = " ".join(str(inside(document.data, place)).split())
        now = " ".join(shape.to.split())
        if not (has_number(place, was) and is_decision(shape.change, document, place)):
            message = "the pack does not leave this to a site"
            self._problem("K803", (*where, "at"), message, _choices(shape.change, document))
        elif was != " ".join(shape.instead_of.split()):
            message = f"the pack says '{was}' there"
            remedy = "look at the change again, then write the pack's value"
            self._problem("K804", (*where, "instead of"), message, remedy)
        elif now == was:
            self._problem("K805", (*where, "to"), "this is the pack's own value", "leave it out")
        elif not same_words(place, was, now):
            message = "only the numbers and their units are a site's to change"
            self._problem("K803", (*where, "to"), message, f"write it like: {was}")
        else:
            return SiteValue(
                file=shape.change,
                at=" ".join(shape.at.split()),
                where=place,
                was=was,
                now=now,
                because=shape.because,
            )
        return None

    def _place(self, shape: ValueShape, where: Where) -> Where | None:
        """The one place that a change speaks of, or `None` after a problem was noted."""
        if shape.change not in self.files.documents:
            message = f"there is no file '{shape.change}' in the pack"
            near = nearest(shape.change, self.files.documents)
            self._problem("K802", (*where, "change"), message, near)
            return None
        document = _with_priorities(self.files.documents[shape.change])
        paths = find(document.data, " ".join(shape.at.split()))
        texts = [path for path in paths if isinstance(inside(document.data, path), str)]
        if len(paths) == 1 and texts:
            return texts[0]
        if len(paths) > 1:
            message, remedy = "several lines are meant", "name one by its order, or as 'line 2'"
        elif paths:
            message, remedy = "more than one value stands there", _choices(shape.change, document)
        else:
            message = f"there is no such place in {shape.change}"
            choices = changeable(shape.change, document)
            remedy = nearest(shape.at, choices) or _choices(shape.change, document)
        self._problem("K802", (*where, "at"), message, remedy)
        return None

    def _problem(self, code: str, where: Where, message: str, remedy: str = "") -> None:
        self.problems.append(Problem(code, self.site.document.mark(where), message, remedy))


def _choices(path: str, document: Document) -> str:
    choices = changeable(path, document)
    if not choices:
        return f"nothing in {path} is left to a site"
    return "left to a site are: " + "; ".join(choices)


def _owner(code: Code, pack: Pack, codes: Mapping[str, Code]) -> str | None:
    """What a code stands for already: an order of the site, an order or a marker of the pack."""
    pair = (code.system, code.code)
    taken = {(code.system, code.code): name for name, code in codes.items()}
    taken |= {(order.code.system, order.code.code): order.id for order in pack.orders.values()}
    return taken.get(pair)


def _with_priorities(document: Document) -> Document:
    """The document with the priority written out that a suggestion has if it names none."""
    data = document.data
    suggested = data.get(_SUGGEST) if isinstance(data, dict) else None
    if not isinstance(data, dict) or not isinstance(suggested, list):
        return document
    lines: list[Data] = [
        {_PRIORITY: _ROUTINE, **line} if isinstance(line, dict) else line for line in suggested
    ]
    return replace(document, data={**data, _SUGGEST: lines})


def _with_value(document: Document, value: SiteValue, mark: Mark) -> Document:
    """The document with the site's value, marked with its line in the site file."""
    document = _with_priorities(document)
    data = _replaced(document.data, value.where, value.now)
    return replace(document, data=data, elsewhere={**document.elsewhere, value.where: mark})


def _replaced(data: Data, where: Where, text: str) -> Data:
    if not where:
        return text
    key, *rest = where
    if isinstance(data, dict):
        return {
            name: _replaced(v, tuple(rest), text) if name == key else v for name, v in data.items()
        }
    if isinstance(data, list):
        return [_replaced(v, tuple(rest), text) if n == key else v for n, v in enumerate(data)]
    return data
