# SPDX-License-Identifier: Apache-2.0
"""Records requests and answers anew. Run it from the root of the repository:

    .venv/bin/python -m tests.recorded.record --answers-only    # after a wanted change of answers
    .venv/bin/python -m tests.recorded.record                   # after a change of the generator

Prints how many answers changed and with which rules, and what the answers cover.
"""

import argparse
import os
import tempfile
from collections import Counter
from collections.abc import Iterable

from tests.recorded.generate import generate
from tests.recorded.kept import (
    CHUNKS,
    DATA,
    Json,
    Service,
    first_difference,
    read,
    reasons,
    rules_with_cards,
    write,
)
from tests.recorded.words import read_words


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description="Record the answers of the service anew.")
    parser.add_argument("--answers-only", action="store_true", help="keep the recorded requests")
    keep_requests = parser.parse_args().answers_only
    requests = _all("requests") if keep_requests else generate()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as state:
        os.environ["XDG_STATE_HOME"] = state  # never the user's own database
        service = Service()
        answers = [service.answer(request) for request in requests]
    if keep_requests:
        _print_changes(_all("answers"), answers)
    else:
        write("requests", requests)
    write("answers", answers)
    _print_coverage(answers)


def _all(kind: str) -> list[Json]:
    return [item for chunk in range(CHUNKS) for item in read(kind, chunk)]


def _print_changes(before: list[Json], after: list[Json]) -> None:
    changed = [
        (number, old, new)
        for number, (old, new) in enumerate(zip(before, after, strict=True))
        if old != new
    ]
    print(f"{len(changed)} of {len(after)} answers changed")
    for number, old, new in changed[:10]:
        print(f"  request {number}: {first_difference(old, new)}")
    rules = Counter(
        rule for _, old, new in changed for rule in rules_with_cards(old) | rules_with_cards(new)
    )
    _print_counts("changed answers with a card of the rule", rules, rules)


def _print_coverage(answers: list[Json]) -> None:
    statuses = Counter(str(answer["status"]) for answer in answers)
    _print_counts("answers by status", statuses, statuses)
    rules = Counter(rule for answer in answers for rule in rules_with_cards(answer))
    _print_counts("answers with a card of the rule", rules, read_words().active_rules)
    words = Counter(reason for answer in answers for reason in reasons(answer))
    _print_counts("answers with a result set aside", words, words)
    size = sum(path.stat().st_size for path in DATA.iterdir())
    print(f"{len(answers)} answers; {size / 1e6:.2f} MB of data")


def _print_counts(title: str, counts: Counter[str], names: Iterable[str]) -> None:
    print(f"{title}:")
    for name in sorted(set(names) | set(counts)):
        print(f"  {counts[name]:6} {name}")


if __name__ == "__main__":
    main()
