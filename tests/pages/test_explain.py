# SPDX-License-Identifier: Apache-2.0
"""The explainer: what it says to a value, and what it refuses."""

import json
import re
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from flask.testing import FlaskClient
from markupsafe import escape

from cds_service.explanation.scale import blank_frame, stretches
from cds_service.knowledge.reading.explainers import heading_of
from tests.web.http_fixtures import client, founding, knowledge

PACK = knowledge().packs[0]
EVERY = sorted(PACK.explainers)


@pytest.fixture(name="http", scope="module")
def _http() -> FlaskClient:
    return client()


def data(http: FlaskClient, address: str) -> dict[str, Any]:
    response = http.get(address, headers={"Accept": "application/json"})
    assert response.status_code == 200, response.text
    assert response.content_type.startswith("application/json")
    found: dict[str, Any] = json.loads(response.text)
    return found


def test_every_statement_of_the_founding_page_is_answered() -> None:
    explainer = PACK.explainers["alt"]["en"]

    headings = {heading_of(section) for section in explainer.sections}
    statements = [*(f"S{n}" for n in range(1, 26)), *(f"T{n}" for n in range(1, 9))]
    assert list(explainer.covers) == statements
    assert {place for places in explainer.covers.values() for place in places} <= headings


def test_every_marker_that_rules_are_about_has_an_explainer(http: FlaskClient) -> None:
    about = {
        subject for rule in PACK.rules.values() for subject in rule.about if subject in PACK.markers
    }

    assert about <= set(EVERY)
    listed = [explainer["id"] for explainer in data(http, "/explain")["explainers"]]
    assert sorted(listed) == EVERY


@pytest.mark.parametrize("marker", EVERY)
def test_every_explainer_has_a_page_whose_sources_exist(http: FlaskClient, marker: str) -> None:
    page = http.get(f"/explain/{marker}").text

    cited = set(re.findall(r'href="#(source-[^"]+)"', page))
    assert cited
    assert cited <= set(re.findall(r'id="(source-[^"]+)"', page))
    assert "{{" not in page
    assert "Text last reviewed on 20" in page
    assert "does not replace it" in page


def test_every_source_of_an_explainer_can_be_opened(http: FlaskClient) -> None:
    cited = [
        source for marker in EVERY for source in data(http, f"/explain/{marker}")["text"]["sources"]
    ]

    assert cited
    assert [
        source["id"] for source in cited if not source.get("url", "").startswith("https://")
    ] == []


def test_the_founding_question(http: FlaskClient) -> None:
    found = data(http, "/explain/alt/1")
    page = http.get("/explain/alt/1").text

    judged = found["judged"]
    assert judged["value"]["band"] == {"id": "very_low", "title": "Very low"}
    assert [card["rule"] for card in judged["cards"]] == ["alt-very-low"]
    assert "very low" in page
    assert "says little" in page
    assert judged["cards"][0]["summary"] in page
    assert [order["id"] for order in judged["cards"][0]["orders"]] == [
        "repeat-alt", "vitamin-b6", "liver-panel", "inr",
    ]  # fmt: skip


def test_page_and_json_say_the_same(http: FlaskClient) -> None:
    address = "/explain/alt/400?alp=110&alp-limit=120&total-bilirubin=4.1&sex=male&age=50"
    found, page = data(http, address), http.get(address).text

    judged = found["judged"]
    assert [card["rule"] for card in judged["cards"]] == ["hys-law-pattern"]
    for card in judged["cards"]:
        assert str(escape(card["summary"])) in page
        assert f'href="/rules/{card["rule"]}"' in page
    for measure in judged["measures"]:
        assert f"{measure['value']} <strong>{measure['called']}</strong>" in page
    for source in found["text"]["sources"]:
        assert str(escape(source["title"])) in page
    for band in found["scale"]["bands"]:
        assert band["range"] in page
    assert str(escape(found["disclaimer"])) in page


def test_the_format_can_be_named_in_the_address(http: FlaskClient) -> None:
    assert http.get("/explain/alt/1?format=json").content_type.startswith("application/json")
    asked = {"Accept": "application/json"}
    assert http.get("/explain/alt/1?format=html", headers=asked).content_type.startswith(
        "text/html"
    )


def test_the_measures_and_cards_are_those_of_the_decisions(http: FlaskClient) -> None:
    found = data(http, "/explain/alt/250?ast=300")["judged"]

    assert {measure["id"]: measure["value"] for measure in found["measures"]} == {
        "ast-alt-ratio": "1.2"
    }
    assert [card["rule"] for card in found["cards"]] == ["alt-moderate"]
    assert found["others"] == [
        {"marker": "ast", "title": "AST", "sent": "300 U/L", "multiple": "7.5"}
    ]


@pytest.mark.parametrize(
    ("asked", "sent", "band"),
    [
        ("1", "1 U/L", "very_low"),
        ("1.0", "1.0 U/L", "very_low"),
        ("0,5", "0.5 U/L", "very_low"),
        ("<3", "<3 U/L", "very_low"),
        ("≥201", ">=201 U/L", "very_high"),
        ("1 U/L", "1 U/L", "very_low"),
        ("0.67 ukat/L", "0.67 ukat/L", "mildly_elevated"),
        ("1000", "1000 U/L", "very_high"),
        ("<10", "<10 U/L", None),
    ],
)
def test_a_value_is_read_as_written(
    http: FlaskClient, asked: str, sent: str, band: str | None
) -> None:
    value = data(http, f"/explain/alt/{quote(asked)}")["judged"]["value"]

    assert value["sent"] == sent
    assert value.get("band", {}).get("id") == band


@pytest.mark.parametrize(
    "address",
    [
        "/explain/alt/abc",
        "/explain/alt/1,000",
        "/explain/alt/1e3",
        "/explain/alt/1/2",
        "/explain/alt/%D9%A3",  # an Arabic digit
        "/explain/alt/1%20U/L?unit=ukat/L",
        "/explain/alt/1?value=2",
        "/explain/alt/1?sex=yes",
        "/explain/alt/1?age=old",
        "/explain/alt/1?age=131",
        "/explain/alt/1?ast=40&ast=41",
        "/explain/alt/1?asat=40",
        "/explain/alt/1?limit=-1",
        "/explain/alt/1?unit=U/L,%203%20days%20ago",
        "/explain/alt/1%2C%203%20days%20ago",
        "/explain/alt/1?format=pdf",
        "/explain/alt/1?ast=" + "9" * 3000,
        "/rules?indicator=loud",
    ],
)
def test_what_cannot_be_read_is_refused_without_repeating_it(
    http: FlaskClient, address: str
) -> None:
    page = http.get(address)
    answer = http.get(address, headers={"Accept": "application/json"})

    assert (page.status_code, page.mimetype) == (400, "text/html")
    assert answer.status_code == 400
    if "format=" not in address:
        assert answer.json is not None
        assert answer.json["resourceType"] == "OperationOutcome"
        assert "days ago" not in answer.text


HOSTILE = ("<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "{{ 7 * 191 }}", "'; --")


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_words_never_come_back_as_markup(http: FlaskClient, text: str) -> None:
    addresses = (
        f"/explain/alt/{quote(text, safe='')}",
        f"/explain/{quote(text, safe='')}",
        f"/explain/alt?value=1&unit={quote(text, safe='')}",
        f"/rules?q={quote(text, safe='')}",
        f"/rules?marker={quote(text, safe='')}",
        f"/rules/{quote(text, safe='')}",
    )
    for address in addresses:
        page = http.get(address).text

        assert "<script" not in page
        assert "onerror=alert(1)>" not in page
        assert "1337" not in re.sub(r"<[^>]*>", "", page) or "7 * 191" not in text


def test_a_unit_that_is_not_one_of_the_marker_is_said_by_the_service_itself(
    http: FlaskClient,
) -> None:
    found = data(http, "/explain/alt/35?unit=mg/dL")

    assert found["judged"]["notUsed"] == "its unit is not known for this test"
    assert "value" not in found["judged"]
    assert [card["rule"] for card in found["judged"]["cards"]] == ["dq-results-set-aside"]
    assert "This value was not used" in http.get("/explain/alt/35?unit=mg/dL").text


def test_an_unknown_marker_is_refused_with_the_list(http: FlaskClient) -> None:
    page = http.get("/explain/nothing")

    assert (page.status_code, page.mimetype) == (404, "text/html")
    assert ", ".join(PACK.explainers) in page.text or "alt" in page.text


@pytest.mark.parametrize(
    ("address", "location"),
    [
        ("/explain/SGPT", "/explain/alt"),
        ("/explain/alat/35", "/explain/alt/35"),
        ("/explain/ALT", "/explain/alt"),
        ("/explain/1742-6?format=json", "/explain/alt?format=json"),
        ("/explain/gamma-GT/80%20U/L?limit=60", "/explain/ggt/80%20U/L?limit=60"),
        ("/explain/Total%20bilirubin/2,5", "/explain/total-bilirubin/2%2C5"),
        ("/explain/vitamin%20B6", "/explain/plp"),
    ],
)
def test_a_name_or_a_code_leads_to_its_marker(
    http: FlaskClient, address: str, location: str
) -> None:
    response = http.get(address)

    assert (response.status_code, response.headers["Location"]) == (308, location)
    assert http.get(location).status_code == 200


@pytest.mark.parametrize(
    ("typed", "location"),
    [
        ("ALT 1 U/L", "/explain/alt/1%20U/L"),
        ("SGPT 35", "/explain/alt/35"),
        ("sgpt: 35", "/explain/alt/35"),
        ("ALT<3", "/explain/alt/%3C3"),
        ("vitamin B6 30 nmol/L", "/explain/plp/30%20nmol/L"),
        ("bilirubin direct = 1,2 mg/dL", "/explain/direct-bilirubin/1%2C2%20mg/dL"),
        ("INR", "/explain/inr"),
    ],
)
def test_one_line_names_the_test_and_its_value(
    http: FlaskClient, typed: str, location: str
) -> None:
    response = http.get("/explain", query_string={"q": typed})

    assert (response.status_code, response.headers["Location"]) == (302, location)
    assert http.get(location).status_code == 200


@pytest.mark.parametrize(
    "query", ["limit=40", "lower-limit=5", "value=35&ast-limit=40", "ast-limit=40"]
)
def test_a_limit_without_its_value_is_refused(http: FlaskClient, query: str) -> None:
    response = http.get(f"/explain/alt?{query}")

    assert response.status_code == 400
    assert "beside its limit" in response.text


def test_blanks_of_a_typed_line_do_not_count(http: FlaskClient) -> None:
    response = http.get("/explain", query_string={"q": f"alt{' ' * 196}35"})

    assert (response.status_code, response.headers["Location"]) == (302, "/explain/alt/35")


def test_a_line_that_is_too_long_is_refused_and_not_cut(http: FlaskClient) -> None:
    response = http.get("/explain", query_string={"q": f"alt {'1' * 197}"})

    assert response.status_code == 400
    assert "Expected at most 200 characters" in response.text


@pytest.mark.parametrize(
    ("address", "status"),
    [
        ("/explain/albumin/3.2?lower-limit=3.5", 200),
        ("/explain/ggt/35?lower-limit=5", 400),
        ("/explain/alt/35?alt=36", 400),
        ("/explain/alt/35?alt-limit=40", 400),
    ],
)
def test_a_parameter_that_would_be_passed_over_is_refused(
    http: FlaskClient, address: str, status: int
) -> None:
    response = http.get(address)

    assert response.status_code == status
    assert ("Expected only these parameters" in response.text) is (status == 400)


@pytest.mark.parametrize("address", ["/explain/ALTT", "/explain/SGTP/35", "/explain?q=alta+35"])
def test_a_name_that_is_not_known_is_answered_with_the_nearest(
    http: FlaskClient, address: str
) -> None:
    page = http.get(address)
    answer = http.get(address, headers={"Accept": "application/json"})

    assert (page.status_code, answer.status_code) == (404, 404)
    assert "Did you mean" in page.text
    assert '<a href="/explain/alt">ALT</a>' in page.text
    assert "The nearest: " in answer.text


def test_the_start_page_opens_with_the_field(http: FlaskClient) -> None:
    page = http.get("/").text

    main = page[page.index("<main") :]
    assert main.index('<label for="ask">Which test, which value?</label>') < main.index("<p")


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("/explain/alt/60", "mildly elevated (graded borderline: 1.5 × the limit)"),
        ("/explain/alt/250", "very high (graded moderate: 6.25 × the limit)"),
        ("/explain/ast/300", "moderate (7.5 × the limit)"),
        ("/explain/alp/180?limit=120", "clearly raised (1.5 × the limit)"),
        ("/explain/total-bilirubin/5", "beyond Gilbert (4.17 × the limit)"),
        ("/explain/direct-bilirubin/1?total-bilirubin=4", "mostly unconjugated"),
        ("/explain/direct-bilirubin/1.2?age=5+months", "raised in an infant"),
        ("/explain/ggt/80?limit=60", "above the limit (1.33 × the limit)"),
        ("/explain/inr/2.2", "critical with jaundice"),
        ("/explain/albumin/3.2?lower-limit=3.5", "below the limit"),
        ("/explain/platelets/90", "low for the rules"),
        ("/explain/ck/1200", "at least muscle injury"),
        ("/explain/plp/15", "deficient"),
    ],
)
def test_every_marker_has_a_word_for_a_value(http: FlaskClient, address: str, said: str) -> None:
    heading = re.search(r"<h1>(.*?)</h1>", http.get(address).text, re.DOTALL)

    assert heading is not None
    words = " ".join(re.sub("<[^>]*>", "", heading[1]).split())
    assert words.partition(": ")[2] == said


@pytest.mark.parametrize("address", ["/explain/alp/150", "/explain/ggt/80", "/explain/albumin/3.2"])
def test_without_the_limit_no_band_is_named(http: FlaskClient, address: str) -> None:
    judged = data(http, address)["judged"]

    assert "band" not in judged["value"]
    page = http.get(address).text
    assert "that is not known here" in page or "leaves open which band" in page


def test_bands_between_known_edges_are_drawn_without_a_word(http: FlaskClient) -> None:
    scale = data(http, "/explain/ck/300")["scale"]

    assert [band["title"] for band in scale["bands"]] == [
        "", "Muscle injury", "Severe muscle injury",
    ]  # fmt: skip
    assert scale["edges"] == ["1000", "5000"]


@pytest.mark.parametrize(
    ("address", "sent", "shown", "first", "edge"),
    [
        ("alt/40", "40 U/L", "0.667 ukat/L", "below 0.0833 ukat/L", "0.0833"),
        ("total-bilirubin/2.4", "2.4 mg/dL", "41 umol/L", "up to 20.5 umol/L", "20.5"),
        ("albumin/%3C2.8", "<2.8 g/dL", "<28 g/L", "below 30 g/L", "30"),
        ("total-bilirubin/42%20umol/L", "42 umol/L", "42 umol/L", "up to 20.5 umol/L", "20.5"),
    ],
)
def test_the_page_is_read_in_the_other_units(
    http: FlaskClient, address: str, sent: str, shown: str, first: str, edge: str
) -> None:
    found = data(http, f"/explain/{address}?units=SI")

    assert (found["judged"]["value"]["sent"], found["judged"]["value"]["shown"]) == (sent, shown)
    assert (found["scale"]["bands"][0]["range"], found["scale"]["edges"][0]) == (first, edge)
    assert [system["id"] for system in found["systems"] if system.get("current")] == ["SI"]


def test_the_choice_of_units_is_kept_and_changes_no_value() -> None:
    http = client()
    first = http.get("/explain/plp/15?units=US&sex=male").text
    later = http.get("/explain/alt/60").text
    http.get("/explain/alt?units=SI")

    assert "3.71 ug/L" in first
    assert 'href="?sex=male&amp;units=SI"' in first
    assert "60 U/L: " in re.sub("<[^>]*>", "", later)
    assert "1 ukat/L: " in re.sub("<[^>]*>", "", http.get("/explain/alt/60").text)
    assert data(http, "/explain/alt/60")["judged"]["value"]["shown"] == "60 U/L"
    assert http.get("/explain/alt?units=metric").status_code == 400


def test_jaundice_beside_alt_is_a_matter_of_days(http: FlaskClient) -> None:
    found = data(http, "/explain/alt/100?total-bilirubin=5")

    windows = [
        order["window"] for card in found["judged"]["cards"] for order in card.get("orders", [])
    ]
    assert windows
    assert not [window for window in windows if "week" in window]
    (text,) = (
        section for section in found["text"]["together"] if section["id"] == "total-bilirubin"
    )
    assert text["text"].index("obstruction first") < text["text"].index("Hy's law")


def test_below_one_year_the_rules_are_silent_and_the_page_says_so(http: FlaskClient) -> None:
    found = data(http, "/explain/alt/1?age=6+months")

    assert "age under 1" in found["judged"]["silent"]
    assert "The rules are silent here" in http.get("/explain/alt/1?age=6+months").text


def test_the_drawing_has_words_and_marks_one_band_otherwise_than_by_colour(
    http: FlaskClient,
) -> None:
    page = http.get("/explain/alt/1").text

    assert page.count("<svg") == 2  # horizontal and vertical; one is shown
    assert "Very low: below 5 U/L (the value lies here)." in page
    assert "this value" in page


def test_bands_meet_without_gap_or_overlap() -> None:
    marker = PACK.markers["alt"]

    row = stretches(marker.bands, marker, blank_frame(marker))

    assert [stretch.grade.id for stretch in row] == [
        "very_low", "normal", "mildly_elevated", "elevated", "very_high",
    ]  # fmt: skip
    for before, after in pairwise(row):
        assert before.high == after.low
        assert before.high_open != after.low_open


def test_cards_link_to_the_explainer_and_the_rule_without_a_value(http: FlaskClient) -> None:
    response = http.post("/cds-services/liver-patient-view", json=founding())

    (card,) = json.loads(response.text)["cards"]
    own = [link["url"] for link in card["links"] if link["url"].startswith("http://localhost/")]
    assert own == [
        "http://localhost/explain/alt",
        "http://localhost/rules/alt-very-low",
    ]
    for address in own:
        assert http.get(address.removeprefix("http://localhost")).status_code == 200


def test_every_link_within_the_site_leads_somewhere(http: FlaskClient) -> None:
    seen: set[str] = set()
    waiting = ["/", "/explain/alt/1?ast=40", "/rules/alt-very-low"]
    while waiting:
        address = waiting.pop()
        if address in seen:
            continue
        seen.add(address)
        response = http.get(address)
        assert response.status_code == 200, address
        if response.mimetype == "text/html":
            ids = set(re.findall(r'id="([^"]+)"', response.text))
            links = re.findall(r'href="([^"]+)"', response.text)
            assert {link[1:] for link in links if link.startswith("#")} <= ids
            waiting.extend(link for link in links if link.startswith("/"))
    assert {f"/rules/{rule}" for rule in PACK.rules} <= seen


def test_an_explainer_is_a_plain_file_that_a_wheel_carries() -> None:
    assert all(Path(explainer["en"].file).suffix == ".md" for explainer in PACK.explainers.values())
