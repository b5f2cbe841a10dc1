# SPDX-License-Identifier: Apache-2.0
"""A worker whose decisions say only what they are about, and take some milliseconds."""

import random
from threading import Event
from time import sleep

from cds_service.clock import system_clock
from cds_service.log import configure_log
from cds_service.settings import database_url, load_settings
from cds_service.store import open_store
from cds_service.subscriptions.work import ArrivalDecision, Work
from cds_service.subscriptions.worker_setup import make_worker, open_tools
from tests.subscriptions.inbox_fixtures import decided


def decide(work: Work) -> ArrivalDecision:
    sleep(random.uniform(0, 0.01))  # a kill should come in between as well
    return decided(work)


def main() -> None:
    settings = load_settings()
    configure_log("error")
    store = open_store(database_url(settings))
    make_worker(open_tools(settings, store, system_clock), lambda _: decide).run(Event())


if __name__ == "__main__":
    main()
