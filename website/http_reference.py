# SPDX-License-Identifier: Apache-2.0
"""The reference of HTTP, from `openapi.yaml`.

`python -m website.http_reference > docs/reference/http.md` writes it.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import yaml

from website.build import ROOT

_METHODS: Final = ("get", "post", "put", "delete")
_TYPES: Final = {"string": "text", "integer": "whole number", "boolean": "yes or no"}
_SCHEMES: Final = {
    "clientToken": "the token of a registered client",
    "subscriptionSecret": "the secret of the Subscription",
}
_HEAD: Final = """\
# HTTP

This page is written by `python -m website.http_reference` from [openapi.yaml](../../openapi.yaml),
which the service serves at `/openapi.yaml` and which tests hold against what it answers. Change
that file instead.
"""


def http_page() -> str:
    """The page; every address, schema, header and status of the description is on it."""
    described = yaml.safe_load((ROOT / "openapi.yaml").read_text(encoding="utf-8"))
    return "\n".join(_Page(described).lines()).rstrip("\n") + "\n"


class _Page:
    def __init__(self, described: Mapping[str, Any]) -> None:
        self.described = described
        self.parts: Mapping[str, Any] = described["components"]

    def lines(self) -> Iterator[str]:
        yield from (_HEAD, self.described["info"]["description"].strip(), "")
        for tag in self.described["tags"]:
            yield from (f"## {tag['name']}", "")
            for address, path in self.described["paths"].items():
                for method in _METHODS:
                    if method in path and path[method]["tags"] == [tag["name"]]:
                        shared = path.get("parameters", [])
                        yield from self._operation(
                            f"{method.upper()} {address}", path[method], shared
                        )
        yield from ("## Tokens", "")
        for name, scheme in self.parts["securitySchemes"].items():
            words = _SCHEMES[name]
            yield from (f"**{words[0].upper()}{words[1:]}**, as `Authorization: Bearer`. ", "")
            yield from (scheme["description"].strip(), "")
        yield from (
            "## Shapes",
            "",
            "What goes in and out. A dot leads into an object, `[]` into each item of a list.",
            "",
        )
        for name, schema in self.parts["schemas"].items():
            yield from (f"### {name}", "")
            if "description" in schema:
                yield from (schema["description"].strip(), "")
            yield from self._members(schema)

    def _operation(
        self, name: str, operation: Mapping[str, Any], shared: Sequence[Any]
    ) -> Iterator[str]:
        yield from (f"### {name}", "", operation["summary"], "")
        if "description" in operation:
            yield from (operation["description"].strip(), "")
        yield from self._security(operation.get("security", []))
        parameters = [
            self._resolved(parameter) for parameter in [*shared, *operation.get("parameters", [])]
        ]
        if parameters:
            yield from ("| parameter | where | type | meaning |", "| --- | --- | --- | --- |")
            for parameter in parameters:
                needed = ", needed" if parameter.get("required") else ""
                yield _row(
                    f"`{parameter['name']}`",
                    parameter["in"] + needed,
                    self._type(parameter["schema"]),
                    _meaning(parameter),
                )
            yield ""
        if "requestBody" in operation:
            yield from self._body(operation["requestBody"])
        yield from self._answers(operation["responses"])

    def _security(self, security: Sequence[Mapping[str, Any]]) -> Iterator[str]:
        names = [_SCHEMES[name] for requirement in security for name in requirement]
        if names:
            optional = ", or none where the site asks for none" if {} in security else ""
            yield from (f"Token: {' or '.join(names)}{optional}.", "")

    def _body(self, body: Mapping[str, Any]) -> Iterator[str]:
        shapes = {self._type(content["schema"]): None for content in body["content"].values()}
        media = " or ".join(f"`{name}`" for name in body["content"])
        needed = "" if body.get("required") else " It may be empty."
        yield from (f"Body: {' or '.join(shapes)}, as {media}.{needed}", "")

    def _answers(self, answers: Mapping[str, Any]) -> Iterator[str]:
        yield from ("| status | when | headers | body |", "| --- | --- | --- | --- |")
        inline = []
        for status, referenced in answers.items():
            answer = self._resolved(referenced)
            bodies = []
            for media, content in answer.get("content", {}).items():
                schema = content["schema"]
                known = (
                    media
                    if schema in ({"type": "string"}, {})
                    else f"{media}: {self._type(schema)}"
                )
                bodies.append(known)
                if "properties" in schema:
                    inline.append((status, schema))
            headers = ", ".join(f"`{name}`" for name in answer.get("headers", {}))
            yield _row(status, _meaning(answer), headers, "; ".join(bodies))
        yield ""
        for status, schema in inline:
            yield from (f"The object of {status}:", "")
            yield from self._members(schema)

    def _members(self, schema: Mapping[str, Any]) -> Iterator[str]:
        rows = list(self._rows(schema, ""))
        if not rows:
            yield from (f"It is {self._type(schema)}.", "")
            return
        yield from ("| member | type | needed | meaning |", "| --- | --- | --- | --- |", *rows, "")
        for name, others in schema.get("dependentRequired", {}).items():
            yield from (f"`{name}` comes with {', '.join(f'`{other}`' for other in others)}.", "")

    def _rows(self, schema: Mapping[str, Any], above: str) -> Iterator[str]:
        for name, member in schema.get("properties", {}).items():
            needed = "yes" if name in schema.get("required", []) else ""
            yield _row(f"`{above}{name}`", self._type(member), needed, _meaning(member))
            yield from self._rows(member, f"{above}{name}.")
        if "items" in schema:
            yield from self._rows(schema["items"], f"{above.removesuffix('.')}[].")

    def _type(self, schema: Mapping[str, Any]) -> str:
        if "$ref" in schema:
            name = schema["$ref"].rpartition("/")[2]
            return f"[{name}](#{name.lower()})"
        if "const" in schema:
            return f"`{_literal(schema['const'])}`"
        if "enum" in schema:
            return " or ".join(f"`{_literal(each)}`" for each in schema["enum"])
        if "oneOf" in schema:
            return " or ".join(map(self._type, schema["oneOf"]))
        kind = schema.get("type", "anything")
        if kind == "array":
            return f"list of {self._type(schema['items'])}" if "items" in schema else "list"
        if isinstance(kind, list):
            return " or ".join(kind)
        limits = [
            words.format(schema[key])
            for key, words in _LIMITS.items()
            if key in schema and (key, schema[key]) != ("minimum", 0)
        ]
        return ", ".join([_TYPES.get(kind, kind), *limits])

    def _resolved(self, part: Mapping[str, Any]) -> Mapping[str, Any]:
        if "$ref" not in part:
            return part
        _, kind, name = part["$ref"].removeprefix("#/").split("/")
        found: Mapping[str, Any] = self.parts[kind][name]
        return found


_LIMITS: Final = {
    "format": "{}",
    "minLength": "at least {} long",
    "maxLength": "at most {} long",
    "minimum": "from {}",
    "minItems": "at least {}",
    "pattern": "`{}`",
}


def _literal(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _meaning(part: Mapping[str, Any]) -> str:
    example = part.get("example", part.get("examples", [None])[0])
    said = " ".join(str(part.get("description", "")).split())
    return " ".join(filter(None, [said, f"For example `{example}`." if example else ""]))


def _row(*cells: str) -> str:
    return " ".join(["|", " | ".join(cell.replace("|", "\\|") for cell in cells), "|"])


if __name__ == "__main__":
    print(http_page(), end="")
