# SPDX-License-Identifier: Apache-2.0
"""Requests that two servers could read in two ways: refused, or read once and the line is closed.

RFC 9112, section 6.3 (message body length) and section 11.2 (request smuggling).
"""

from collections.abc import Iterator

import pytest

from tests.conformance.server import CLOSE, HEAD, SERVICE, say, serving, status

pytestmark = pytest.mark.server


def get(address: str, host: str = "localhost") -> bytes:
    return f"GET {address} HTTP/1.1\r\nHost: {host}\r\n{CLOSE}\r\n".encode()


HIDDEN = get("/metrics")


@pytest.fixture(name="port", scope="module")
def _port() -> Iterator[int]:
    with serving(header_seconds=600, body_seconds=600) as port:
        yield port


def request(headers: str, body: bytes) -> bytes:
    return f"POST {SERVICE} HTTP/1.1\r\n{HEAD}{headers}\r\n".encode() + body


@pytest.mark.parametrize(
    "headers",
    [
        "Content-Length: 5\r\nContent-Length: 6\r\n",
        "Content-Length: 5, 6\r\n",
        "Content-Length: +5\r\n",
        "Content-Length: -5\r\n",
        "Content-Length: 0x5\r\n",
        "Content-Length: 5\r\n Transfer-Encoding: chunked\r\n",
        "Transfer-Encoding: identity\r\n",
        "Transfer-Encoding: xchunked\r\n",
        "Transfer-Encoding: chunked, identity\r\n",
        "Transfer-Encoding : chunked\r\n",
        "Content-Length : 5\r\n",
        "Content-Length: 5\r\nX: a\r\x00\n",
    ],
)
def test_a_length_that_is_not_certain_is_400_and_closes(port: int, headers: str) -> None:
    said, closed = say(port, request(headers, b"0\r\n\r\n" + HIDDEN))

    assert (status(said), closed) == (400, True)
    assert said.count(b"HTTP/1.1 ") == 1


@pytest.mark.parametrize(
    "headers",
    [
        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
        f"Content-Length: {5 + len(HIDDEN)}\r\nTransfer-Encoding: chunked\r\n",
        "Content-Length: 5\r\nTransfer-Encoding: CHUNKED\r\n",
    ],
)
def test_chunks_beside_a_length_are_read_as_chunks_and_nothing_follows(
    port: int, headers: str
) -> None:
    said, closed = say(port, request(headers, b"0\r\n\r\n" + HIDDEN))

    assert (status(said), closed) == (400, True)
    assert said.count(b"HTTP/1.1 ") == 1
    assert b"cds_requests_total" not in said


@pytest.mark.parametrize(
    "body", [b"ZZ\r\n12345\r\n0\r\n\r\n", b"5;\n12345\r\n0\r\n\r\n", b"-1\r\n\r\n"]
)
def test_chunks_that_cannot_be_read_are_no_call(port: int, body: bytes) -> None:
    said, _ = say(port, request("Transfer-Encoding: chunked\r\n", body + HIDDEN))

    assert status(said) == 400
    assert b"cds_requests_total" not in said


def test_a_header_with_an_underscore_is_no_header(port: int) -> None:
    said, _ = say(port, request(f"Content_Length: 9\r\n{CLOSE}Content-Length: 2\r\n", b"{}"))

    assert status(said) == 400
    assert b"expected" in said.lower()  # the body {} was read, whole


@pytest.mark.parametrize(
    "hosts",
    [
        "",
        "Host: localhost\r\nHost: localhost\r\n",
        "Host: localhost\r\nHost: a\r\n",
        "Host: localhost, a\r\n",
        "Host: a@127.0.0.1\r\n",
        "Host:\r\n",
        "Host: localhost:port\r\n",
    ],
)
@pytest.mark.parametrize("address", ["/cds-services", "http://localhost/cds-services", "/nowhere"])
def test_a_request_of_http_1_1_has_one_host(port: int, address: str, hosts: str) -> None:
    said, _ = say(port, f"GET {address} HTTP/1.1\r\n{hosts}{CLOSE}\r\n".encode())

    assert status(said) == 400


def test_a_user_in_the_request_line_is_refused(port: int) -> None:
    said, _ = say(port, get("http://a@localhost/cds-services"))

    assert status(said) == 400


@pytest.mark.parametrize("hosts", ["", "Host: localhost\r\n"])
def test_a_request_of_http_1_0_may_have_no_host(port: int, hosts: str) -> None:
    said, _ = say(port, f"GET /cds-services HTTP/1.0\r\n{hosts}{CLOSE}\r\n".encode())

    assert status(said) == 200


def test_the_address_in_the_request_line_is_the_host(port: int) -> None:
    assert status(say(port, get("http://elsewhere.example/cds-services"))[0]) == 403
    assert status(say(port, get("http://localhost/cds-services", "elsewhere.example"))[0]) == 200


def test_http_2_without_tls_is_not_spoken(port: int) -> None:
    said, closed = say(port, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")

    assert closed
    assert not said.startswith(b"\x00")


def test_requests_one_after_another_are_answered_one_by_one(port: int) -> None:
    said, _ = say(port, request("Content-Length: 2\r\n", b"{}") + HIDDEN)

    assert said.count(b"HTTP/1.1 ") == 2
