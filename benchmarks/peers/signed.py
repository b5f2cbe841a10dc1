# SPDX-License-Identifier: Apache-2.0
"""What the proof of who calls adds to a call: signed tokens, their keys in the file of clients.

Each call carries a token of its own, as the specification asks. Both servers get the same calls
from the same threads, so that only the tokens differ. The bare verification of the library stands
beside it, in this process.
"""

import json
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from time import process_time
from typing import Any
from uuid import uuid4

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import get_default_algorithms

from benchmarks.load import Load, Server, Target, load_on, post, running
from benchmarks.peers.entrants import Entrant
from benchmarks.peers.measure import REST, Effort
from benchmarks.peers.workloads import Workload
from cds_service.clock import system_clock

ALGORITHMS = ("RS384", "ES384")
_ISSUER = "https://ehr.example"
_SECONDS = 280  # that a token is good for; the service takes 300 at most


@dataclass(frozen=True, slots=True, kw_only=True)
class Signed:
    """The CPU that tokens of one algorithm add."""

    algorithm: str
    share: float  # of the CPU of the same call without a token
    added: float  # microseconds a call
    bare: float  # microseconds that the library takes to verify one
    shares: Sequence[float]  # one a round


def signed(ours: Entrant, workload: Workload, folder: Path, effort: Effort) -> list[Signed]:
    """The service with registered clients against the same without, round by round."""
    keys = {name: _private_key(name) for name in ALGORITHMS}
    file = folder / "clients.json"
    file.write_text(json.dumps(_registrations(keys)), encoding="utf-8")
    environment = {
        "CDS_CLIENTS": str(file),
        "CDS_PROFILE": "development",  # which may be called by http
        "CDS_PUBLIC_URL": "http://127.0.0.1:{port}",
        "XDG_STATE_HOME": str(folder / "signed"),
    }
    calls = max(40, round(150 * effort.seconds))
    found: dict[str, list[tuple[Load, Load]]] = {name: [] for name in ALGORITHMS}
    with ExitStack() as stack:
        plain = stack.enter_context(running(ours.command, ours.environment))
        closed = stack.enter_context(running(ours.command, environment))
        for server in (plain, closed):
            for body in workload.data:
                token = _tokens(closed, ours.path, keys, ALGORITHMS[0], 1)[0]
                post(server.port, ours.path, body, token if server is closed else "")
        for _ in range(effort.rounds):
            for name in ALGORITHMS:
                tokens = _tokens(closed, ours.path, keys, name, calls)
                with_tokens = Target(
                    server=closed, path=ours.path, bodies=workload.data, tokens=tokens
                )
                without = replace(with_tokens, server=plain, tokens=[""] * calls)
                mine = load_on(with_tokens, effort.seconds, rest=REST)
                found[name].append((mine, load_on(without, effort.seconds, rest=REST)))
    bare = {name: _bare(keys, name) for name in ALGORITHMS}
    return [_signed(name, pairs, bare[name]) for name, pairs in found.items()]


def _signed(name: str, pairs: Sequence[tuple[Load, Load]], bare: float) -> Signed:
    added = [mine.cpu_each - its.cpu_each for mine, its in pairs]
    shares = [more / its.cpu_each for more, (_, its) in zip(added, pairs, strict=True)]
    return Signed(
        algorithm=name, share=median(shares), added=median(added), bare=bare, shares=shares
    )


def _private_key(algorithm: str) -> Any:
    if algorithm == "ES384":
        return ec.generate_private_key(ec.SECP384R1())
    return rsa.generate_private_key(65537, 2048)


def _registrations(keys: dict[str, Any]) -> dict[str, Any]:
    public = [
        {**_public(name, key), "kid": name, "use": "sig", "alg": name} for name, key in keys.items()
    ]
    return {"clients": [{"id": "benchmark", "issuer": _ISSUER, "keys": public}]}


def _public(algorithm: str, key: Any) -> dict[str, Any]:
    method: Any = get_default_algorithms()[algorithm]
    found: dict[str, Any] = method.to_jwk(key.public_key(), as_dict=True)
    found.pop("key_ops", None)
    return found


def _tokens(
    server: Server, path: str, keys: dict[str, Any], algorithm: str, number: int
) -> list[str]:
    now = int(system_clock().timestamp())
    claims = {
        "iss": _ISSUER,
        "aud": f"http://127.0.0.1:{server.port}{path}",
        "iat": now,
        "exp": now + _SECONDS,
    }
    return [
        jwt.encode({**claims, "jti": str(uuid4())}, keys[algorithm], algorithm, {"kid": algorithm})
        for _ in range(number)
    ]


def _bare(keys: dict[str, Any], algorithm: str, number: int = 300) -> float:
    token = jwt.encode({"iss": _ISSUER}, keys[algorithm], algorithm)
    public = keys[algorithm].public_key()
    begin = process_time()
    for _ in range(number):
        jwt.decode(token, public, [algorithm])
    return (process_time() - begin) * 1e6 / number
