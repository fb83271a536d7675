"""What the first leaver after a start costs beyond later ones: everything that is only made when it is needed."""

from __future__ import annotations

import sys
import time

import psutil

from bench.cloud import carry_out, cpu_seconds, local_cloud, process
from bench.figures import Figure, Report, main, median, say
from bench.reference import leaver, reference_world
from tests.e2e.scenario import Scenario
from tests.e2e.worlds import Person

STARTS, LATER = 3, 4
MOST_MS = 150
REST_S, RESTING = 0.5, 0.05
"""A process rests that needs less than this share of one processor for so many seconds."""


def measure() -> Report:
    starts: list[list[float]] = []
    with local_cloud(reference_world(STARTS * (1 + LATER))) as scenario:
        people = [leaver(at) for at in range(STARTS * (1 + LATER))]
        scenario.link({one.id: [one.account] for one in people})
        for start in range(STARTS):
            say(f"first: start {start + 1} of {STARTS}")
            scenario.kill()
            scenario.start()
            _let_come_to_rest(process(scenario))
            mine = people[start * (1 + LATER) : (start + 1) * (1 + LATER)]
            starts.append([_milliseconds(scenario, one) for one in mine])
    first, later = median([one[0] for one in starts]), median([ms for one in starts for ms in one[1:]])
    return Report(
        "first",
        "process time (user and system) of the Functions process for a reference leaver, from the message to its end; "
        f"{STARTS} starts, the first leaver of each against the {LATER} after it; medians",
        [
            Figure("process time of the first leaver beyond later ones", first - later, "ms", most=MOST_MS),
            Figure("first leaver ÷ later ones", first / later, "times"),
        ],
        {"starts": starts},
    )


def _let_come_to_rest(app: psutil.Process) -> None:
    """The host opens its receivers after it has said that it is ready: that is not the leaver's."""
    used = cpu_seconds(app)
    for _ in range(20):
        time.sleep(REST_S)
        before, used = used, cpu_seconds(app)
        if used - before <= RESTING * REST_S:
            return


def _milliseconds(scenario: Scenario, person: Person) -> float:
    app = process(scenario)
    before = cpu_seconds(app)
    carry_out(scenario, person)
    return 1000 * (cpu_seconds(app) - before)


if __name__ == "__main__":
    sys.exit(main(measure))
