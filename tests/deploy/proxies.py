# SPDX-License-Identifier: Apache-2.0
"""nginx and Caddy with the files of deploy/proxy, on a port and with a certificate of the test."""

import shutil
import socket
import ssl
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.client import HTTPSConnection
from pathlib import Path

from tests.conformance.certificate import make_certificate
from tests.conformance.server import free_port, wait_for
from tests.house.source import ROOT

HOST = "cds.example.org"
FILES = {"nginx": "nginx.conf", "caddy": "Caddyfile"}
_PATIENCE = 30  # seconds
# A folder of a test is its user's alone, so workers are no other user; not as root it is ignored.
_NGINX = """
daemon off; user root; pid {folder}/pid; error_log {folder}/log;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
    include {folder}/site;
}}
"""


def missing() -> str | None:
    """What keeps this machine from starting the proxies, or None."""
    absent = [name for name in FILES if _program(name) is None]
    return f"install the packages {', '.join(absent)}" if absent else None


def text_of(kind: str) -> str:
    """The file of deploy/proxy for this proxy."""
    return (ROOT / "deploy" / "proxy" / FILES[kind]).read_text(encoding="utf-8")


@dataclass(frozen=True)
class Proxy:
    """A running proxy, and the certificate that its callers know."""

    port: int
    certificate: Path

    def connection(self) -> HTTPSConnection:
        """A connection by TLS to the proxy under the name of the service."""
        context = ssl.create_default_context(cafile=str(self.certificate))
        plain = socket.create_connection(("127.0.0.1", self.port), timeout=_PATIENCE)
        made = HTTPSConnection(HOST)
        made.sock = context.wrap_socket(plain, server_hostname=HOST)
        return made

    def ask(
        self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] = {}
    ) -> tuple[int, bytes]:
        """The status and the body of an answer."""
        connection = self.connection()
        try:
            with suppress(OSError):  # answered before all was sent
                connection.request(method, path, body, dict(headers))
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()


@contextmanager
def proxy(
    kind: str, folder: Path, upstream: int, changes: Mapping[str, str] = {}
) -> Iterator[Proxy]:
    """A proxy in front of this port; whatever is changed of its file has to be there once."""
    port = free_port()
    certificate, key = make_certificate(folder)
    placed = {"127.0.0.1:8000": f"127.0.0.1:{upstream}", **changes}
    if kind == "nginx":
        placed |= {
            "listen 443 ssl;": f"listen 127.0.0.1:{port} ssl;",
            "/etc/nginx/cds-service/chain.pem": str(certificate),
            "/etc/nginx/cds-service/key.pem": str(key),
        }
    else:
        placed |= {
            "\n{\n": "\n{\n\tadmin off\n\tauto_https disable_redirects\n",
            f"\n{HOST} {{\n": f"\n{HOST}:{port} {{\n\tbind 127.0.0.1\n",
            "/etc/caddy/cds-service/chain.pem": str(certificate),
            "/etc/caddy/cds-service/key.pem": str(key),
        }
    text = text_of(kind)
    for old, new in placed.items():
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    (folder / "site").write_text(text, encoding="utf-8")
    with _running(kind, folder) as process:
        wait_for(process, port)
        yield Proxy(port, certificate)


@contextmanager
def _running(kind: str, folder: Path) -> Iterator["subprocess.Popen[bytes]"]:
    program = _program(kind)
    assert program is not None
    if kind == "nginx":
        main = folder / "main"
        main.write_text(_NGINX.format(folder=folder), encoding="utf-8")
        command = [program, "-c", str(main)]
    else:
        command = [program, "run", "--adapter", "caddyfile", "--config", str(folder / "site")]
    homes = {"HOME": str(folder), "XDG_DATA_HOME": str(folder), "XDG_CONFIG_HOME": str(folder)}
    with (folder / "output").open("wb") as output:
        process = subprocess.Popen(command, env=homes, stdout=output, stderr=output)
        try:
            yield process
        finally:
            process.terminate()
            process.wait(_PATIENCE)


def _program(name: str) -> str | None:
    return shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin")
