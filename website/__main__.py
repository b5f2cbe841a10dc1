# SPDX-License-Identifier: Apache-2.0
"""`python -m website [--serve]`: build the site into `site/`, and show it."""

import argparse
import sys
from contextlib import suppress
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

from website.build import ROOT, build

_PORT = 8010


def main() -> None:
    """Build, and serve to this machine alone if asked to."""
    parser = argparse.ArgumentParser(prog="python -m website", description=__doc__)
    parser.add_argument("--serve", action="store_true", help=f"show it at port {_PORT} as well")
    serve = parser.parse_args().serve
    site = ROOT / "site"
    try:
        build(site)
    except (FileNotFoundError, ChildProcessError) as problem:
        sys.exit(str(problem))
    print(f"{site}/index.html")
    if serve:
        handler = partial(SimpleHTTPRequestHandler, directory=str(site))
        with ThreadingHTTPServer(("127.0.0.1", _PORT), handler) as server:
            print(f"http://127.0.0.1:{_PORT}/ until Ctrl-C")
            with suppress(KeyboardInterrupt):
                server.serve_forever()


if __name__ == "__main__":
    main()
