# SPDX-License-Identifier: Apache-2.0
"""The patients of a FHIR server: found by a name or an id, or just the first ones."""

from dataclasses import dataclass, replace
from typing import Final
from urllib.parse import quote

from cds_service.clock import Deadline
from cds_service.fhir.references import is_id as fhir_id
from cds_service.fhir_client.client import Access, FhirClient, QueryResult
from cds_service.sandbox.fetch import Query, ask_all, query_report, resources_in
from cds_service.sandbox.raw_json import Json, items

MOST: Final = 20
_PAGES_LEFT: Final = "too-many-pages"  # of a list of people the first page is enough
_BY_ID: Final = "by id"
_BY_NAME: Final = "by name"


@dataclass(frozen=True, slots=True, kw_only=True)
class PatientMatch:
    """One patient, as a list shows them."""

    id: str
    name: str
    born: str = ""
    sex: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PatientMatches:
    """Who was found, whether there are more, and how each query ended."""

    people: tuple[PatientMatch, ...]
    more: bool
    queries: tuple[Query, ...]

    @property
    def ignores_name(self) -> bool:
        """Whether the server did not read the name, so that these are any patients."""
        return any("name" in query.ignored for query in self.queries)

    @property
    def failure(self) -> str:
        """Why nobody can be shown, if that is because the server gave no answer."""
        failed = [query.because for query in self.queries if query.failure and query.key != _BY_ID]
        return failed[0] if failed and not self.people else ""


def find_people(
    client: FhirClient, access: Access, text: str, deadline: Deadline, most: int = MOST
) -> PatientMatches:
    """The patients whose name begins so, or whose id it is; without a text the first ones.

    `client` should read one page of a search and no more, unless many are wanted.
    """
    names = "".join(f"name={quote(word, safe='')}&" for word in text.split())
    asked = {_BY_NAME: f"Patient?{names}_count={min(most, 200)}"}
    if is_id(text):
        asked = {_BY_ID: f"Patient/{text}", **asked}
    found = ask_all(client, access, asked, deadline)
    listed = {
        person.id: person
        for answer in found.values()
        for resource in resources_in(answer)
        if (person := person_of(resource)) is not None
    }
    queries = tuple(
        query_report(key, asked[key], _without_rest(answer), access.server.base)
        for key, answer in found.items()
    )
    people = tuple(listed.values())
    more = len(people) > most or found[_BY_NAME].failure == _PAGES_LEFT
    return PatientMatches(people=people[:most], more=more, queries=queries)


def person_of(resource: Json) -> PatientMatch | None:
    """The patient that the resource is, if it is one with an id."""
    identity = resource.get("id")
    if resource.get("resourceType") != "Patient" or not isinstance(identity, str):
        return None
    return PatientMatch(
        id=identity,
        name=_name_in(resource) or "no name",
        born=_text(resource.get("birthDate")),
        sex=_text(resource.get("gender")),
    )


def is_id(text: str) -> bool:
    """Whether the text can be an id; dots alone would lead elsewhere on the server."""
    return fhir_id(text) and bool(text.strip("."))


def _name_in(resource: Json) -> str:
    """The usual or official name, else the first."""
    names = [item for item in items(resource.get("name")) if isinstance(item, dict)]
    ranks = {"usual": 0, "official": 1}
    names.sort(key=lambda name: ranks.get(str(name.get("use")), 2))
    for name in names:
        given = " ".join(_text(part) for part in items(name.get("given")))
        written = _text(name.get("text")) or f"{given} {_text(name.get('family'))}".strip()
        if written:
            return written
    return ""


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _without_rest(result: QueryResult) -> QueryResult:
    return replace(result, failure=None) if result.failure == _PAGES_LEFT else result
