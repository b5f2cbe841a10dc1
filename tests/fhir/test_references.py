# SPDX-License-Identifier: Apache-2.0
"""References and base URLs: one spelling each, and where a token may go."""

import pytest

from cds_service.fhir.references import (
    Parts,
    base_url,
    is_inside,
    parts_of,
    plain_id,
    relative_reference,
    server_of,
)

BASE = "https://ehr.example.org/fhir"

SAME_BASE = [
    BASE,
    f"{BASE}/",
    f"{BASE}//",
    "HTTPS://EHR.Example.ORG/fhir",
    "https://ehr.example.org:443/fhir",
    "https://ehr.example.org:0443/fhir",
    "https://ehr.example.org:/fhir",
    "https://ehr.example.org./fhir",
]
OTHER_BASE = [
    "http://ehr.example.org/fhir",
    "http://ehr.example.org:443/fhir",
    "https://ehr.example.org:80/fhir",
    "https://ehr.example.org:8443/fhir",
    "https://ehr.example.org:0/fhir",
    "https://ehr.example.org:x/fhir",
    "https://ehr.example.org:99999/fhir",
    "https://ehr.example.org../fhir",
    "https://ehr.example.org",
    "https://ehr.example.org/FHIR",
    "https://ehr.example.org/fhir2",
    "https://ehr.example.org/fhir/x",
    "https://other.example.org/fhir",
    "https://ehr.example.org.other.example/fhir",
    # a user, a query, a fragment
    "https://user@ehr.example.org/fhir",
    "https://user:word@ehr.example.org/fhir",
    "https://@ehr.example.org/fhir",
    "https://ehr.example.org@other.example/fhir",
    "https://other.example\\@ehr.example.org/fhir",
    "https://ehr.example.org/fhir?x=1",
    "https://ehr.example.org/fhir?",
    "https://ehr.example.org/fhir#x",
    "https://ehr.example.org\\fhir",
    # percent-encoding and dot segments are not resolved
    "https://ehr.example.org/%66hir",
    "https://%65hr.example.org/fhir",
    "https://ehr.example.org/x/../fhir",
    "https://ehr.example.org/./fhir",
    "https://ehr.example.org//fhir",
    # what readers of URLs drop or fold: blanks, tabs, other scripts
    f" {BASE}",
    f"{BASE} ",
    "https://ehr.exam\tple.org/fhir",
    "https://ehr.example.org/fh\nir",
    "https://ehr.example.org/fhir\x7f",
    "https://ehr.examp\u2113e.org/fhir",
    "https://ehr.example.org\u3002/fhir",
    # no absolute URL
    "//ehr.example.org/fhir",
    "ehr.example.org/fhir",
    "https:/ehr.example.org/fhir",
    "https:///fhir",
    "ftp://ehr.example.org/fhir",
    "",
]


@pytest.mark.parametrize("url", SAME_BASE)
def test_one_base_has_one_spelling(url: str) -> None:
    assert base_url(url) == BASE


@pytest.mark.parametrize("url", OTHER_BASE)
def test_nothing_else_is_the_base(url: str) -> None:
    assert base_url(url) != BASE


def test_a_host_that_folds_to_ascii_is_not_that_host() -> None:
    """In lower case the Kelvin sign is the letter k."""
    assert base_url("https://\u212aehr.example/r4") != "https://kehr.example/r4"


@pytest.mark.parametrize("url", [*SAME_BASE, *OTHER_BASE])
def test_a_normal_form_is_its_own(url: str) -> None:
    assert base_url(base_url(url)) == base_url(url)


@pytest.mark.parametrize(
    ("url", "base"),
    [
        ("http://a:80", "http://a"),
        ("https://[::1]:443/x", "https://[::1]/x"),
        ("https://[FD00::A]:8443/x/", "https://[fd00::a]:8443/x"),
        ("https://[0:0::1]/x", "https://[0:0::1]/x"),
        ("https://a:x/", "https://a:x/"),
        ("https://[::1/x", "https://[::1/x"),
    ],
)
def test_other_hosts_have_one_spelling_too(url: str, base: str) -> None:
    assert base_url(url) == base


@pytest.mark.parametrize(
    "url", [*SAME_BASE, "http://ehr.example.org/fhir", "http://EHR.example.org:80/FHIR/"]
)
def test_one_server_is_known_by_http_and_https(url: str) -> None:
    assert server_of(url) == server_of(BASE) == "ehr.example.org/fhir"


@pytest.mark.parametrize(
    "url",
    [
        "http://ehr.example.org:443/fhir",
        "https://ehr.example.org:80/fhir",
        "https://user@ehr.example.org/fhir",
        "https://ehr.example.org@other.example/fhir",
        "https://ehr.example.org/x/../fhir",
        "https://ehr.example.org/%66hir",
        "https://ehr.example.org",
        "https://other.example.org/fhir",
    ],
)
def test_another_server_is_another(url: str) -> None:
    assert server_of(url) != server_of(BASE)


@pytest.mark.parametrize("text", ["", "fhir", "urn:uuid:1", "Patient/1"])
def test_what_is_no_absolute_url_names_no_server(text: str) -> None:
    assert server_of(text) == ""


@pytest.mark.parametrize(
    ("reference", "parts"),
    [
        ("p1", Parts("", "Patient", "p1")),
        ("Patient/p1", Parts("", "Patient", "p1")),
        ("Patient/p1/_history/3", Parts("", "Patient", "p1")),
        ("urn:uuid:0000", Parts("", "urn", "0000")),
        ("https://ehr.example.org:443/fhir/Patient/p1", Parts(BASE[8:], "Patient", "p1")),
        ("http://EHR.example.org/fhir/Patient/P1", Parts(BASE[8:], "Patient", "P1")),
        ("x/Patient/p1", Parts("", "Patient", "p1")),
    ],
)
def test_a_reference_has_a_server_a_type_and_an_id(reference: str, parts: Parts) -> None:
    assert parts_of(reference) == parts


@pytest.mark.parametrize("text", ["p1", "Patient/p1", " Patient/p1 "])
def test_a_patient_id_is_plain(text: str) -> None:
    assert plain_id(text) == "p1"


@pytest.mark.parametrize(
    ("url", "inside"),
    [
        ("https://a.example/r4", True),
        ("https://a.example/r4?_getpages=1", True),
        ("https://A.example/r4/Patient", True),
        ("https://a.example:443/r4/Patient", True),
        ("https://a.example:/r4/Patient", True),
        ("https://a.example/r4/Patient/%20x", True),
        ("https://a.example/r4x", False),
        ("https://a.example/R4/Patient", False),
        ("https://a.example/", False),
        ("https://a.example/%724/Patient", True),  # the path is compared decoded
        ("https://a.example/r4%2FPatient", True),
        ("https://a.example/r4\\..\\x", False),
        ("https://a.example/r4/x%5C..%5C..%5Cadmin", False),
        ("https://a.example:8443/r4/Patient", False),
        ("https://a.example:0/r4/Patient", False),
        ("http://a.example/r4/Patient", False),
        ("http://a.example:443/r4/Patient", False),
        ("https://b.example/r4/Patient", False),
        ("https://a.example./r4/Patient", False),
        ("https://a.example/r4/../admin", False),
        ("https://a.example/r4/%2e%2e/admin", False),
        ("https://a.example/r4/.\t./admin", False),
        ("https://x@a.example/r4/Patient", False),
        ("https://@a.example/r4/Patient", False),
        ("https://a.example@b.example/r4/Patient", False),
        ("https://b.example\\@a.example/r4/Patient", False),
        ("https://a.example:port/r4", False),
        ("https://[::1/r4", False),
        ("//a.example/r4/Patient", False),
        ("/r4/Patient", False),
    ],
)
def test_only_what_lies_below_the_base_is_inside(url: str, inside: bool) -> None:
    assert is_inside(url, "https://a.example/r4") is inside


@pytest.mark.parametrize(
    ("url", "inside"),
    [
        ("http://[::1]:8080/fhir/Patient", True),
        ("http://[::1]/fhir/Patient", False),
        ("http://[::2]:8080/fhir/Patient", False),
    ],
)
def test_an_address_of_ipv6_is_compared_as_a_host(url: str, inside: bool) -> None:
    assert is_inside(url, "http://[::1]:8080/fhir") is inside


@pytest.mark.parametrize(
    ("text", "reference"),
    [
        ("e1", "Encounter/e1"),
        (" e1 ", "Encounter/e1"),
        ("Encounter/e1", "Encounter/e1"),
        ("Encounter/e1#inside", "Encounter/e1"),
        ("e" * 64, f"Encounter/{'e' * 64}"),
        ("e" * 65, None),
        ("e 1", None),
        ("e_1", None),
        ("e/1", None),
        ("e\n", "Encounter/e"),
        ("é1", None),
        ("Patient/e1", None),
        ("https://ehr.example/r4/Encounter/e1", None),
        ("urn:uuid:d1577c69-dfbe-44ad-ba6d-3e05e953b2ea", None),
        ("#inside", None),
        ("", None),
        (None, None),
    ],
)
def test_only_an_id_of_fhir_makes_a_reference(text: str | None, reference: str | None) -> None:
    assert relative_reference("Encounter", text) == reference
