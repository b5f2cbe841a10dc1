# SPDX-License-Identifier: Apache-2.0
"""The CPU time of the steps, of the whole and of many patients, in this process."""

import random
from functools import partial

from benchmarks.charts import Chart, chart, one_bad_entry, variants
from benchmarks.paths import (
    CARD,
    CONSTANT,
    CORE,
    DECIDE,
    DECODE,
    FLOOR,
    INTAKE,
    LOADS,
    NAIVE,
    POST,
    RENDER,
    SKIP,
    VALIDATION,
    Bench,
    core,
    decoded,
    floor_calls,
    naive_post,
    path_calls,
    proposals_in,
    steps_of,
    validated_proposal,
)
from benchmarks.report import Figure
from benchmarks.timing import Call, Times, measure

_PAIRS = (
    (DECODE, SKIP),
    (DECODE, LOADS),
    (INTAKE, LOADS),
    (DECIDE, LOADS),
    (RENDER, LOADS),
    (CORE, LOADS),
    (POST, CONSTANT),
    (POST, FLOOR),
)
_BATCH_OBSERVATIONS = 25
_BAD = "decode, one bad entry"


def of_size(bench: Bench, size: int, *, rounds: int, seconds: float) -> list[Figure]:
    """The steps and the whole over the plain chart."""
    plain = chart(bench.pack, size)
    steps = steps_of(bench, plain)
    calls = {**floor_calls(bench, plain, len(steps.answer)), **path_calls(bench, plain, steps)}
    times = measure(calls, rounds=rounds, seconds=seconds)
    return [_figure("time", name, size, floor, times) for name, floor in _PAIRS]


def special(bench: Bench, size: int, *, rounds: int, seconds: float) -> list[Figure]:
    """One card, one bad entry, and the naive service."""
    plain = chart(bench.pack, size)
    steps = steps_of(bench, plain)
    bad = one_bad_entry(bench.pack, size)
    steps_of(bench, bad)
    if naive_post(bench, plain.body) != steps.answer:
        raise AssertionError("the naive service answers otherwise; nothing is measured")
    calls: dict[str, Call] = {
        DECODE: partial(decoded, bench, plain),
        _BAD: partial(decoded, bench, bad),
        FLOOR: floor_calls(bench, plain, len(steps.answer))[FLOOR],
        NAIVE: partial(naive_post, bench, plain.body),
        RENDER: path_calls(bench, plain, steps)[RENDER],
    }
    proposals = proposals_in(steps)
    if proposals:
        calls[VALIDATION] = partial(validated_proposal, proposals[0])
    times = measure(calls, rounds=rounds, seconds=seconds)
    figures = [
        _figure("time", _BAD, size, DECODE, times),
        _figure("time", NAIVE, size, FLOOR, times),
    ]
    if proposals:
        cards = len(steps.cards)
        figures.append(
            Figure(
                mode="time",
                name=CARD,
                size=size,
                floor=VALIDATION,
                ratio=times.ratio(RENDER, VALIDATION) / cards,
                amount=times.micros(RENDER) / cards,
                unit="us",
                spread=times.spread(RENDER, VALIDATION),
            )
        )
    return figures


def of_variants(bench: Bench, size: int, *, rounds: int, seconds: float) -> list[Figure]:
    """The whole POST of every other form of the chart, against the floor over the same body."""
    figures: list[Figure] = []
    for name, patient_chart in variants(bench.pack, size).items():
        answer = steps_of(bench, patient_chart).answer
        floor = floor_calls(bench, patient_chart, len(answer))[FLOOR]
        whole = f"{POST}, {name}"
        post = path_calls(bench, patient_chart, steps_of(bench, patient_chart))[POST]
        times = measure({FLOOR: floor, whole: post}, rounds=rounds, seconds=seconds)
        figures.append(_figure("time", whole, size, FLOOR, times))
    return figures


def batch(bench: Bench, patients: int, *, rounds: int, seconds: float) -> list[Figure]:
    """Many patients, one after another: bytes to decisions, against decoding them alone."""
    chance = random.Random(0)
    charts = [
        chart(bench.pack, _BATCH_OBSERVATIONS, seed=chance.getrandbits(32)) for _ in range(patients)
    ]
    for patient_chart in charts:
        steps_of(bench, patient_chart)
    alone, whole = "decode alone", "decode + intake + decide of a patient"
    calls: dict[str, Call] = {
        alone: partial(_each_decoded, bench, charts),
        whole: partial(_each_decided, bench, charts),
    }
    times = measure(calls, rounds=rounds, seconds=seconds)
    return [
        Figure(
            mode="batch",
            name=whole,
            size=f"{patients} x {_BATCH_OBSERVATIONS}",
            floor=alone,
            ratio=times.ratio(whole, alone),
            amount=patients * 1e6 / times.micros(whole),
            unit="patients/s",
            spread=times.spread(whole, alone),
        )
    ]


def _each_decoded(bench: Bench, charts: list[Chart]) -> None:
    for patient_chart in charts:
        decoded(bench, patient_chart)


def _each_decided(bench: Bench, charts: list[Chart]) -> None:
    for patient_chart in charts:
        core(bench, patient_chart)


def _figure(mode: str, name: str, size: int, floor: str, times: Times) -> Figure:
    return Figure(
        mode=mode,
        name=name,
        size=size,
        floor=floor,
        ratio=times.ratio(name, floor),
        amount=times.micros(name),
        unit="us",
        spread=times.spread(name, floor),
    )
