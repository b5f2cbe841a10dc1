# SPDX-License-Identifier: Apache-2.0
"""The dashboard: every query asks for what the service exports, and nothing is left unseen."""

import json
import re

import pytest

from tests.deploy.promtool import DASHBOARD, alerts, exported, queries, unknown

SHOWN_ELSEWHERE = {
    "cds_clients",  # its alert, and the log
    "cds_pack_info",  # in cds_pack_signed
    "cds_quiet_unsure_total",
    "cds_replay_late_total",
    "cds_replay_unchecked_total",
    "cds_request_seconds_sum",
    "cds_work_seconds_count",  # cds_work_total
    "cds_work_seconds_sum",
}


@pytest.mark.parametrize("query", queries())
def test_each_query_asks_for_what_is_exported(query: str) -> None:
    assert unknown(query) == []


def test_every_metric_is_on_the_dashboard_or_named_here() -> None:
    shown = {name for query in queries() for name in re.findall(r"\bcds_[a-z0-9_]+", query)}

    assert set(exported()) - shown == SHOWN_ELSEWHERE


def test_every_alert_is_about_something_that_the_dashboard_shows() -> None:
    shown = " ".join(queries())

    for name, rule in alerts().items():
        asked = re.findall(r"(?<!:)\bcds_[a-z]+_[a-z_]+", rule["expr"])
        assert all(metric in shown for metric in asked), name


def test_panels_do_not_overlap_and_ids_are_their_own() -> None:
    panels = json.loads(DASHBOARD.read_text(encoding="utf-8"))["panels"]
    places = [
        (x, y)
        for panel in panels
        for x in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])
    ]

    assert len(places) == len(set(places))
    assert len({panel["id"] for panel in panels}) == len(panels)
    assert max(x for x, _ in places) == 23
