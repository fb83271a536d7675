"""What a bench says: numbers, some with a target, and the series that its plot is drawn from."""

from __future__ import annotations

import json
import statistics
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Figure:
    """A ratio, a count or a size. `most`: the target, which it may not exceed."""

    name: str
    value: float
    unit: str = ""
    most: float | None = None

    @property
    def missed(self) -> bool:
        return self.most is not None and self.value > self.most

    def document(self) -> dict[str, Any]:
        value = round(self.value, 3)
        return {"name": self.name, "value": value, "unit": self.unit, "most": self.most, "missed": self.missed}


@dataclass(frozen=True)
class Report:
    """`how`: the conditions in a sentence; `series`: single measurements, for the plot and for doubts."""

    bench: str
    how: str
    figures: Sequence[Figure]
    series: Mapping[str, Any] = field(default_factory=dict)

    def document(self) -> dict[str, Any]:
        figures = [figure.document() for figure in self.figures]
        return {"bench": self.bench, "how": self.how, "figures": figures, "series": dict(self.series)}


def median(values: Sequence[float]) -> float:
    return statistics.median(values)


def say(text: str) -> None:
    """Progress, beside the result."""
    sys.stderr.write(f"{text}\n")


def main(measure: Callable[[], Report]) -> int:
    """Print a bench's report as JSON; 1 when a target was missed."""
    report = measure()
    sys.stdout.write(json.dumps(report.document(), indent=1) + "\n")
    for figure in report.figures:
        target = "" if figure.most is None else f" (at most {figure.most:g}{': MISSED' if figure.missed else ''})"
        say(f"{report.bench}: {figure.name}: {figure.value:.3g} {figure.unit}{target}")
    return int(any(figure.missed for figure in report.figures))
