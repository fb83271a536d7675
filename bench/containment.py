"""Containment: from a message's receipt to an account that is disabled and whose sessions are revoked."""

from __future__ import annotations

import sys

from bench.cloud import LATENCY_MS, between, depth, local_cloud, offboard
from bench.figures import Figure, Report, main, median, say
from shared.clock import from_text
from tests.e2e.scenario import Document, Scenario
from tests.e2e.worlds import person_of, team

LEAVERS, WARM = 9, 2
ROUND_TRIPS = 2
CONTAINMENT = ("DisableAccount", "RevokeSessions")


def measure() -> Report:
    names = [f"leaver{at}" for at in range(WARM + LEAVERS)]
    with local_cloud(team(*names)) as scenario:
        people = [person_of(name) for name in names]
        scenario.link({one.id: [one.account] for one in people})
        for one in people[:WARM]:
            offboard(scenario, one)
        with scenario.latency(LATENCY_MS):
            say(f"containment: {LEAVERS} leavers with {LATENCY_MS} ms on each Graph request")
            runs = [_contained(scenario, offboard(scenario, one)) for one in people[WARM:]]
    latency = LATENCY_MS / 1000
    contained = [seconds / (ROUND_TRIPS * latency) for seconds, _, _ in runs]
    verified = [seconds / ((ROUND_TRIPS + 1) * latency) for _, seconds, _ in runs]
    return Report(
        "containment",
        f"{LEAVERS} leavers one after the other in a warm process, {LATENCY_MS} ms of latency on each Graph request; "
        "from the receipt of the message (the time of the run's first row) until Graph has disabled and revoked, and "
        "until the reading that shows it; medians",
        [
            Figure("sequential Graph round trips until contained", max(depth for *_, depth in runs), most=ROUND_TRIPS),
            Figure("time until contained ÷ (2 x latency)", median(contained), most=1.3),
            Figure("time until read back ÷ (3 x latency)", median(verified), most=1.3),
        ],
        {"contained": contained, "verified": verified},
    )


def _contained(scenario: Scenario, evidence: Document) -> tuple[float, float, int]:
    """Seconds until Graph had disabled and revoked, until the reading that showed it, and round trips to the first."""
    steps = [step for step in evidence["steps"] if step["kind"] in CONTAINMENT]
    taken = max(one["answeredAt"] for step in steps for one in step["tries"] if "answeredAt" in one)
    requests = between(scenario.traffic(), evidence["openedAt"], taken)
    received, verified = evidence["openedAt"], max(step["verifiedAt"] for step in steps)
    done = max(row["time"] for row in requests)
    return _seconds(received, done), _seconds(received, verified), depth(requests)


def _seconds(first: str, last: str) -> float:
    return (from_text(last) - from_text(first)).total_seconds()


if __name__ == "__main__":
    sys.exit(main(measure))
