# SPDX-License-Identifier: Apache-2.0
"""What a site file says of markers: spellings of units, names and codes of its laboratory.

They are added to the markers of the pack once it is built. Each addition is one that the pack does
not have, and none may mean something else in it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from cds_service.knowledge.model.code_systems import is_well_formed
from cds_service.knowledge.model.names import NotUnderstood, words_of
from cds_service.knowledge.model.pack import Marker, MarkerCode, Pack
from cds_service.knowledge.model.site import SiteSpelling
from cds_service.knowledge.reading.markers import all_units, marker_codes
from cds_service.knowledge.reading.name_index import name_index
from cds_service.knowledge.site.file import SiteFile, SiteMarkerCodeShape, SiteMarkerShape
from cds_service.sourcefile.diagnostics import Problem, nearest
from cds_service.sourcefile.document import Where

_LEAVE_OUT = "leave it out"


def with_spellings(
    pack: Pack, site: SiteFile
) -> tuple[Pack, tuple[SiteSpelling, ...], list[Problem]]:
    """The pack with the site's spellings, names and codes, what they are, and their problems."""
    adder = _Adder(pack, site)
    for name, shape in site.shape.markers.items():
        if name in pack.markers:
            adder.add(name, shape)
        else:
            message = f"there is no marker '{name}'"
            adder.problem("K802", ("markers", name), message, nearest(name, pack.markers))
    return adder.pack, tuple(adder.added), adder.problems


@dataclass(slots=True)
class _Adder:
    """Adds to one marker after the other, so that each addition is checked against all others."""

    pack: Pack
    site: SiteFile
    added: list[SiteSpelling] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    def add(self, name: str, shape: SiteMarkerShape) -> None:
        """Everything that the site file says of one marker."""
        where: Where = ("markers", name)
        for spelling, unit in shape.units.items():
            self._add_unit(name, spelling, unit, (*where, "units", spelling))
        for n, text in enumerate(shape.names):
            self._add_name(name, text, (*where, "names", n))
        for n, code in enumerate(shape.codes):
            self._add_code(name, code, (*where, "codes", n))

    def problem(self, code: str, where: Where, message: str, remedy: str) -> None:
        """Note a problem at its line of the site file."""
        self.problems.append(Problem(code, self.site.document.mark(where), message, remedy))

    def _add_unit(self, name: str, spelling: str, unit: str, where: Where) -> None:
        marker, bare = self.pack.markers[name], "".join(spelling.split())
        own = tuple(dict.fromkeys(marker.units.values()))
        size = self.pack.unit_pieces.size_of(spelling)
        known = marker.units.get(bare) or self.pack.units.get(bare)
        if marker.units.get(unit) != unit:
            remedy = f"write one of: {', '.join(own)}" if own else "the marker has no unit"
            self.problem("K203", where, f"'{unit}' is no unit of {name}", remedy)
        elif known == unit or (size and size == self.pack.unit_pieces.size_of(unit)):
            self.problem("K805", where, f"'{spelling}' is read as {unit} already", _LEAVE_OUT)
        elif known or size:
            message = f"'{spelling}' is {known or 'another unit by its definition'}"
            self.problem("K302", where, message, "a spelling has one meaning; ask what it is")
        else:
            factors = {**marker.factors, bare: marker.factors[unit]}
            self._change(replace(marker, factors=factors, units={**marker.units, bare: unit}))
            self.added.append(SiteSpelling(marker=name, kind="unit", text=spelling, means=unit))

    def _add_name(self, name: str, text: str, where: Where) -> None:
        marker, read = self.pack.markers[name], self.pack.names.of(text)
        named = {meaning.marker for meaning in read} if isinstance(read, tuple) else set()
        others = sorted(named - {name})
        if not words_of(text):
            self.problem("K106", where, f"'{text}' has no word", _LEAVE_OUT)
        elif others:
            message = f"'{text}' is a name of {others[0]}"
            self.problem("K302", where, message, "a name has one meaning")
        elif name in named:
            self.problem("K805", where, f"'{text}' is read as {name} already", _LEAVE_OUT)
        elif isinstance(read, NotUnderstood) and name not in read.markers:
            message = f"'{text}' holds a name of {read.markers[0]}"
            self.problem("K302", where, message, "use the code of the laboratory instead")
        else:
            self._change(replace(marker, names=(*marker.names, text)))
            self.added.append(SiteSpelling(marker=name, kind="name", text=text, means=name))

    def _add_code(self, name: str, shape: SiteMarkerCodeShape, where: Where) -> None:
        marker = self.pack.markers[name]
        methods = {code.method for code in marker.codes if code.method}
        claimed = self.pack.marker_codes.get((shape.system, shape.code))
        if claimed is not None and claimed[1].is_read:
            message = f"the code {shape.code} already stands for {claimed[0]}"
            remedy = _LEAVE_OUT if claimed[0] == name else "a code has one meaning"
            self.problem("K302", (*where, "code"), message, remedy)
        elif not is_well_formed(shape.system, shape.code):
            message = f"the check digit of {shape.code} is wrong"
            self.problem("K303", (*where, "code"), message, "look the code up again")
        elif shape.method is not None and shape.method not in methods:
            message = f"no code of {name} names the method '{shape.method}'"
            remedy = nearest(shape.method, methods) or _one_of(methods)
            self.problem("K802", (*where, "method"), message, remedy)
        else:
            code = MarkerCode(
                system=shape.system, code=shape.code, name=shape.name, method=shape.method
            )
            self._change(replace(marker, codes=(*marker.codes, code)))
            text = f"{shape.code} of {shape.system}"
            self.added.append(SiteSpelling(marker=name, kind="code", text=text, means=name))

    def _change(self, marker: Marker) -> None:
        markers: Mapping[str, Marker] = {**self.pack.markers, marker.id: marker}
        self.pack = replace(
            self.pack,
            markers=markers,
            units=all_units(self.pack.units, markers),
            marker_codes=marker_codes(markers),
            names=name_index(markers, self.pack.names.specimens),
        )


def _one_of(methods: set[str]) -> str:
    return f"write one of: {', '.join(sorted(methods))}" if methods else _LEAVE_OUT


def spellings_in_words(site: SiteFile) -> Iterator[str]:
    """Each addition in a line, for terminals."""
    for name, shape in site.shape.markers.items():
        yield from (f"{name}: unit '{text}' is {unit}" for text, unit in shape.units.items())
        yield from (f"{name}: name '{text}'" for text in shape.names)
        for code in shape.codes:
            method = f", {code.method}" if code.method else ""
            yield f"{name}: code {code.code} of {code.system}{method}"
