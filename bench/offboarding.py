"""The reference leaver, offboarded by the app; beside it an account of the same things, one call for each of them."""

from __future__ import annotations

import asyncio
import sys

from bench.cloud import LATENCY_MS, between, depth, local_cloud, offboard, requests_of, trusting
from bench.figures import Figure, Report, main, say
from bench.one_by_one import offboard_one_by_one
from bench.reference import DEFAULT_METHOD_REFUSAL, ITEMS, REMOVABLE, STAY, held, leaver, reference_world
from shared.clock import from_text, to_text
from tests.e2e.scenario import Document, Scenario, now

WARM, OURS, THEIRS = 0, 1, 2
CONTAIN_AND_MARK = ("DisableAccount", "RevokeSessions", "MarkAccount")


def measure() -> Report:
    with local_cloud(reference_world(3)) as scenario:
        people = [leaver(at) for at in range(3)]
        scenario.link({one.id: [one.account] for one in people})
        offboard(scenario, people[WARM])
        with scenario.latency(LATENCY_MS):
            say("offboarding: by the app")
            with scenario.faults(DEFAULT_METHOD_REFUSAL):
                evidence = offboard(scenario, people[OURS])
            ours = requests_of(scenario, evidence)
            say("offboarding: one call for each thing")
            with scenario.faults(DEFAULT_METHOD_REFUSAL):
                theirs = _one_by_one(scenario, people[THEIRS].account)
        left = held(scenario.tenant("mssp"), people[OURS].account)
    removals = [step for step in evidence["steps"] if step["kind"] not in CONTAIN_AND_MARK]
    read_back = sum(step["result"] == "verified" for step in removals)
    removable_left = sum(count for kind, count in left.items() if kind not in STAY)
    unnamed = sum(left.values()) - len(evidence["stays"])
    return Report(
        "offboarding",
        f"an account of {sum(ITEMS.values())} things, {REMOVABLE} of them removable; Graph refuses the default "
        "authentication method while others are left; packages are delivered at once, replicas do not lag; in a warm "
        f"process, {LATENCY_MS} ms of latency on each Graph request; beside it a second account of the same things",
        [
            Figure("Graph requests", len(ours), most=15),
            Figure("sequential depth", depth(ours), most=8),
            Figure("removable things left", removable_left, most=0),
            Figure("removals not read back", REMOVABLE - read_back, most=0),
            Figure("things that stay without a named reason", unnamed, most=0),
            Figure("Graph requests, one call for each thing", len(theirs)),
            Figure("sequential depth, one call for each thing", depth(theirs)),
            Figure("time, one call for each thing ÷ the app's", _seconds(theirs) / _seconds(ours), "times"),
        ],
        {"requests": {"the app": _told(ours), "one call for each thing": _told(theirs)}, "stays": _reasons(evidence)},
    )


def _one_by_one(scenario: Scenario, account: str) -> list[Document]:
    began = to_text(now())
    with trusting(scenario):
        asyncio.run(offboard_one_by_one(scenario.settings, account))
    return between(scenario.traffic(), began, to_text(now()))


def _seconds(requests: list[Document]) -> float:
    return max(answered for _, answered in _told(requests))


def _told(requests: list[Document]) -> list[tuple[float, float]]:
    """When each request arrived and was answered, in seconds from the first."""
    times = [(from_text(row["arrived"]), from_text(row["time"])) for row in requests]
    first = min(arrived for arrived, _ in times)
    pairs = [((arrived - first).total_seconds(), (answered - first).total_seconds()) for arrived, answered in times]
    return sorted((round(arrived, 4), round(answered, 4)) for arrived, answered in pairs)


def _reasons(evidence: Document) -> dict[str, list[str]]:
    """What stays by kind, with its reasons."""
    reasons: dict[str, list[str]] = {}
    for stay in evidence["stays"]:
        reasons.setdefault(stay["kind"], []).append(stay["reason"])
    return reasons


if __name__ == "__main__":
    sys.exit(main(measure))
