# SPDX-License-Identifier: Apache-2.0
"""Addresses around the service, for people and machines; none of them knows of a patient."""

from base64 import b64encode
from hashlib import sha256
from pathlib import Path

from flask import Blueprint, Response
from jinja2 import Environment, StrictUndefined
from prometheus_client import CONTENT_TYPE_LATEST
from werkzeug.exceptions import NotFound

from cds_service import __version__
from cds_service.knowledge.model import Pack, Rule
from cds_service.knowledge.reads import sources_of
from cds_service.metrics import Metrics, exposition
from cds_service.service import Knowledge
from cds_service.web.outcomes import json_response

_STYLE = "body{font:1rem/1.5 sans-serif;max-width:44rem;margin:2rem auto;padding:0 1rem}"
_STYLE_HASH = b64encode(sha256(_STYLE.encode()).digest()).decode()
_POLICY = f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; frame-ancestors 'none'"

_PAGES = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True)
_HEAD = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>{{ title }}</title><style>{{ style }}</style>
<h1>{{ title }}</h1>
"""
_START = _PAGES.from_string(
    _HEAD
    + """<p>Laboratory decision support over CDS Hooks, version {{ version }}. A CDS Client begins
at <a href="/cds-services">/cds-services</a>; every address is described in
<a href="/openapi.yaml">/openapi.yaml</a>.</p>
{% for pack in packs %}
<h2>{{ pack.title }} {{ pack.version }}</h2>
<ul>
{% for rule in pack.rules.values() if rule.status == "active" %}
<li><a href="/rules/{{ rule.id }}">{{ rule.title }}</a></li>
{% endfor %}
</ul>
{% for notice in pack.notices %}
<p><small>{{ notice }}</small></p>
{% endfor %}
{% endfor %}
"""
)
_RULE = _PAGES.from_string(
    _HEAD
    + """<p>Rule {{ rule.id }} {{ rule.version }} of {{ pack.title }} {{ pack.version }}, a card of
indicator {{ rule.indicator }}.</p>
<h2>It appears when</h2>
<p>{{ rule.when.in_words() }}</p>
{% if rule.unless %}
<h2>Unless</h2>
<ul>
{% for reason in rule.unless %}
<li>{{ reason.when.in_words() }} ({{ reason.because }})</li>
{% endfor %}
</ul>
{% endif %}
{% if rule.suggestions %}
<h2>It can propose</h2>
<ul>
{% for one in rule.suggestions %}
<li>{{ pack.orders[one.order].title }}, {{ one.first_day }} to {{ one.last_day }} days,
{{ one.priority }}</li>
{% endfor %}
</ul>
{% endif %}
<h2>It stands on</h2>
<ul>
{% for one in rule.evidence %}
<li>{{ pack.sources[one.source].title if one.source else "A decision of the authors" }}:
{{ one.says }}</li>
{% endfor %}
</ul>
<h2>Sources</h2>
<ul>
{% for source in sources %}
<li>{% if source.url %}<a href="{{ source.url }}">{{ source.title }}</a>{% else %}
{{ source.title }}{% endif %}</li>
{% endfor %}
</ul>
{% for notice in pack.notices %}
<p><small>{{ notice }}</small></p>
{% endfor %}
<p><a href="/">All rules</a></p>
"""
)


def blueprint(knowledge: Knowledge, metrics: Metrics) -> Blueprint:
    """The addresses over this knowledge and these metrics."""
    routes = Blueprint("pages", __name__)
    start = _START.render(
        title="cds-service", style=_STYLE, version=__version__, packs=knowledge.packs
    )
    rules = {rule.id: (rule, pack) for pack in knowledge.packs for rule in pack.rules.values()}
    openapi = openapi_file().read_bytes()

    @routes.get("/")
    def home() -> Response:
        return _page(start)

    @routes.get("/rules/<rule_id>")
    def rule(rule_id: str) -> Response:
        if rule_id not in rules:
            raise NotFound
        return _page(_rule_page(*rules[rule_id]))

    @routes.get("/health")
    def health() -> Response:
        return json_response({"status": "up"})

    @routes.get("/ready")
    def ready() -> Response:
        packs = [{"id": pack.id, "version": pack.version} for pack in knowledge.packs]
        return json_response({"status": "ready", "packs": packs})

    @routes.get("/metrics")
    def counts() -> Response:
        return Response(exposition(metrics), content_type=CONTENT_TYPE_LATEST)

    @routes.get("/openapi.yaml")
    def description() -> Response:
        return Response(openapi, content_type="application/yaml")  # RFC 9512

    return routes


def openapi_file() -> Path:
    """The description of the addresses: beside the package in the wheel, else at the top level."""
    package = Path(__file__).parents[1]
    in_wheel = package / "_openapi.yaml"
    return in_wheel if in_wheel.is_file() else package.parent / "openapi.yaml"


def _rule_page(rule: Rule, pack: Pack) -> str:
    return _RULE.render(
        title=rule.title, style=_STYLE, rule=rule, pack=pack, sources=sources_of(rule, pack)
    )


def _page(text: str) -> Response:
    response = Response(text, content_type="text/html; charset=utf-8")
    response.headers["Content-Security-Policy"] = _POLICY
    return response
