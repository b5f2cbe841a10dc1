# SPDX-License-Identifier: Apache-2.0
"""How many worked examples pass, and what differs in the others, by rule.

    python -m tests.vignettes.report                        one line a rule
    python -m tests.vignettes.report --rule alt-moderate    each difference of that rule
    python -m tests.vignettes.report --id LIV-301           one example whole: in, expected, found
    python -m tests.vignettes.report --update               rewrite the list of those not passing

Cards, orders and what they say are compared as an EHR sees them; `--all` adds readings and reasons,
which only the explanation tells.
"""

import argparse
import json
import sys
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from cds_service.log import configure_log
from tests.vignettes.ask import Clinic
from tests.vignettes.compare import EXAMPLES, SECOND_EDITION, UNSEEN, Difference, Json, rule_of
from tests.vignettes.convert import hook_of
from tests.vignettes.explained import order_codes, reasons_of
from tests.vignettes.not_yet import aspects_of, read_not_yet, write_not_yet

Found = Mapping[str, Sequence[Difference]]
SECOND = {vignette["id"] for vignette in SECOND_EDITION}
BY_ID = {vignette["id"]: vignette for vignette in EXAMPLES}


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the report; the exit code is 1 if an example fails that is not listed."""
    options = _parser().parse_args(arguments)
    configure_log("error")
    started = time.monotonic()
    clinic = Clinic()
    chosen = [BY_ID[name] for name in options.id] if options.id else EXAMPLES
    if options.id:
        for vignette in chosen:
            print(_whole(vignette, clinic))
        return 0
    found = {vignette["id"]: clinic.differences(vignette) for vignette in chosen}
    clinic.close()
    known = read_not_yet()
    if options.update:
        write_not_yet({name: aspects_of(all_) for name, all_ in found.items() if all_})
        print("The list is rewritten; if git could not merge it, add it now.\n")
    hidden = frozenset() if options.all else UNSEEN
    shown = {
        name: [difference for difference in all_ if difference.aspect not in hidden]
        for name, all_ in found.items()
    }
    if options.rule:
        print("\n".join(_of_rule(options.rule, shown, verbose=options.verbose)))
        return 0
    print("\n".join(_by_rule(shown, verbose=options.verbose)))
    print("\n".join(_counts(found)))
    fresh = sorted(
        name for name, all_ in found.items() if aspects_of(all_) - known.get(name, set())
    )
    passing = sorted(name for name, aspects in known.items() if aspects - aspects_of(found[name]))
    print(f"worse than the list says: {' '.join(fresh) or 'none'}")
    print(f"better than the list says (--update takes them out): {' '.join(passing) or 'none'}")
    print(f"{time.monotonic() - started:.1f} s")
    return 1 if fresh and not options.update else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.vignettes.report",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--rule", help="only what differs in the cards of this rule, in full")
    parser.add_argument("--id", action="append", help="this example, with its whole answer")
    parser.add_argument("--verbose", action="store_true", help="every difference in full")
    parser.add_argument("--all", action="store_true", help="readings and reasons too")
    parser.add_argument("--update", action="store_true", help="rewrite the list of not passing")
    return parser


def _counts(found: Found) -> Iterator[str]:
    yield ""
    for title, inside in (("first edition", False), ("second edition", True)):
        ours = {name: all_ for name, all_ in found.items() if (name in SECOND) is inside}
        seen = sum(not aspects_of(all_) - UNSEEN for all_ in ours.values())
        whole = sum(not all_ for all_ in ours.values())
        yield (
            f"{title:15} {seen:3} of {len(ours)} pass over HTTP, {whole} with readings and reasons"
        )


def _by_rule(shown: Found, *, verbose: bool) -> Iterator[str]:
    grouped: dict[str, dict[str, list[tuple[str, Difference]]]] = {}
    for name, all_ in shown.items():
        for difference in all_:
            aspects = grouped.setdefault(difference.rule, defaultdict(list))
            aspects[difference.aspect].append((name, difference))
    for rule, aspects in sorted(grouped.items()):
        names = sorted({name for pairs in aspects.values() for name, _ in pairs})
        yield f"{rule}: {len(names)}"
        for aspect, pairs in aspects.items():
            if verbose:
                yield from (f"  {name} {aspect}: {difference.text}" for name, difference in pairs)
            else:
                yield f"  {aspect}: {' '.join(sorted({name for name, _ in pairs}))}"


def _of_rule(rule: str, shown: Found, *, verbose: bool) -> Iterator[str]:
    count = 0
    for name, all_ in shown.items():
        ours = [difference for difference in all_ if difference.rule == rule]
        if not ours:
            continue
        count += 1
        yield f"{name} {_title(BY_ID[name])}"
        yield f"    given {_inputs(BY_ID[name]['inputs'])}"
        yield from (f"    {difference.aspect}: {difference.text}" for difference in ours)
        if verbose:
            others = (difference for difference in all_ if difference.rule != rule)
            yield from (
                f"    also {difference.rule}, {difference.aspect}: {difference.text}"
                for difference in others
            )
    about = [
        vignette["id"]
        for vignette in EXAMPLES
        if rule
        in {
            item["id"]
            for item in (*vignette["expected"]["cards"], *vignette["expected"]["notShown"])
        }
    ]
    yield f"{rule}: {count} differ; {len(about)} examples name it: {' '.join(about)}"


def _title(vignette: Mapping[str, Any]) -> str:
    why = f" ({vignette['why']})" if vignette.get("why") else ""
    return f"{vignette['title']}{why}"


def _inputs(inputs: Mapping[str, Any]) -> str:
    """The inputs of an example in a line."""
    patient = " ".join(f"{name} {value}" for name, value in inputs["patient"].items())
    results = [_result(observation) for observation in inputs.get("observations", ())]
    others = [
        f"{name} {json.dumps(value)}"
        for name, value in inputs.items()
        if name not in {"patient", "observations", "now"}
    ]
    return "; ".join((patient, *results, *others))


def _result(given: Mapping[str, Any]) -> str:
    value = f"{given.get('comparator', '')}{given.get('value', given.get('valueString'))}"
    words = [given["loinc"], value, given.get("unit", "")]
    words += [f"(limit {given['high']})"] if "high" in given else []
    words += [given["effective"][5:16]]
    words += [given["status"]] if "status" in given else []
    words += ["hemolysed"] if given.get("hemolyzed") else []
    return " ".join(word for word in words if word)


def _whole(vignette: Mapping[str, Any], clinic: Clinic) -> str:
    body = clinic.answer(vignette)
    fresh = Clinic(clinic.knowledge)  # the first has shown this patient its cards already
    all_ = fresh.differences(vignette)
    fresh.close()
    lines = [f"{vignette['id']} {_title(vignette)}", f"  hook {hook_of(vignette)}"]
    lines += [f"  given {given_input}" for given_input in _inputs(vignette["inputs"]).split("; ")]
    lines += ["  expected"]
    lines += [f"    {line}" for card in vignette["expected"]["cards"] for line in _expected(card)]
    lines += [
        f"    not {hidden['id']}: {hidden['reason']}" for hidden in vignette["expected"]["notShown"]
    ]
    lines += ["  found"]
    lines += [f"    {line}" for card in body["cards"] for line in _card(card)]
    about = {hidden["id"] for hidden in vignette["expected"]["notShown"]}
    about |= {card["id"] for card in vignette["expected"]["cards"]}
    about -= {rule_of(card) for card in body["cards"]}
    told = reasons_of(body, order_codes(clinic.knowledge))
    reasons = sorted(pair for pair in told if pair[0] in about)
    lines += [f"    not {name}: {reason}" for name, reason in reasons]
    lines += ["  differs" if all_ else "  passes"]
    lines += [
        f"    {difference.rule}, {difference.aspect}: {difference.text}" for difference in all_
    ]
    return "\n".join(lines)


def _expected(card: Json) -> Iterable[str]:
    says = f", says {' '.join(card['says'])}" if card.get("says") else ""
    yield f"{card['id']} {card['indicator']}{says}"
    for suggestion in card["suggestions"]:
        yield "  " + " ".join(f"{name} {value}" for name, value in suggestion.items())


def _card(card: Json) -> Iterable[str]:
    yield f"{rule_of(card)} {card['indicator']}: {card['summary']}"
    yield from (f"  | {line}" for line in card["detail"].splitlines())
    for suggestion in card.get("suggestions", ()):
        preferred = {True: ", recommended", False: ", not recommended"}.get(
            suggestion.get("isRecommended"), ""
        )
        yield f"  offers {suggestion['label']}{preferred}"
        for action in suggestion["actions"]:
            resource = action["resource"]
            period = resource["occurrencePeriod"]
            code = resource["code"]["coding"][-1]["code"]
            yield f"    {code} {period['start']} to {period['end']} {resource['priority']}"


if __name__ == "__main__":
    sys.exit(main())
