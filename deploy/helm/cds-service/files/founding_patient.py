# SPDX-License-Identifier: Apache-2.0
"""The test of the chart: the service is ready, and the founding patient (ALT 1 U/L) gets a card.

Arguments: the address of the service, and the address that clients sign for. Given a client's key
in CLIENT, it calls the service with a signed token; without one nobody may call it, and the same
image is asked inside of this pod.
"""

import json
import os
import subprocess
import sys
import time
import urllib.request
import uuid
from pathlib import Path
from typing import Any

CLIENT = Path(os.environ.get("TEST_CLIENT", "/etc/cds-service/client"))
WAIT = 30
Json = dict[str, Any]


def answer(request: urllib.request.Request | str) -> Json:
    """What the service answers; anything but 200 is an error."""
    with urllib.request.urlopen(request, timeout=WAIT) as response:  # noqa: S310 - ours
        found: Json = json.load(response)
    return found


def printed(*words: str) -> bytes:
    """What a command of the same image prints; a demo listens on this machine only."""
    here = {**os.environ, "CDS_HOST": "127.0.0.1"}
    command = [sys.executable, "-m", "cds_service", *words]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, env=here).stdout


def token(audience: str) -> str:
    """A token of the registered client for one call."""
    import jwt

    key = json.loads((CLIENT / "key.json").read_text())
    now = int(time.time())
    claims = {
        "iss": (CLIENT / "issuer").read_text().strip(),
        "aud": audience,
        "iat": now,
        "exp": now + 120,
        "jti": str(uuid.uuid4()),
    }
    return jwt.encode(
        claims, jwt.PyJWK(key).key, key["alg"], headers={"kid": key["kid"], "typ": "JWT"}
    )


def main(service: str, public: str) -> None:
    """Ask, and end with an error where a card is missing."""
    ready = answer(f"{service}/ready")
    print("ready:", json.dumps(ready))
    if not (CLIENT / "key.json").is_file():
        shown = printed("demo", "--once").decode()
        print("no client's key: asked the same image inside of this pod", shown, sep="\n")
        if "ALT" not in shown:
            sys.exit("the founding patient got no card")
        return
    body = printed("demo", "--request")
    view = next(
        one
        for one in answer(f"{service}/cds-services")["services"]
        if one["hook"] == "patient-view"
    )
    path = f"/cds-services/{view['id']}"
    call = urllib.request.Request(  # noqa: S310
        service + path,
        data=body,
        headers={
            "Content-Type": "application/json",
            "Authorization": f"Bearer {token(public.rstrip('/') + path)}",
        },
    )
    cards = answer(call)["cards"]
    print("\n".join(card["summary"] for card in cards))
    if not any("ALT" in card["summary"] for card in cards):
        sys.exit("the founding patient got no card")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
