"""The plots of docs/performance.md, from the series of the benches."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("svg")

from matplotlib import pyplot as plt
from matplotlib.axes import Axes

Series = Mapping[str, Any]
OURS, OTHERS, TARGET = "#1f6f8b", "#b8b8b8", "#c0392b"
STYLE: Any = {
    "svg.fonttype": "none",  # letters stay letters: small files, and the reader's own font
    "svg.hashsalt": "jml",  # the same numbers make the same file
    "font.family": "sans-serif",
    "font.size": 9.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
}


def containment(axes: Axes, series: Series) -> None:
    for at, (name, label) in enumerate((("contained", "contained ÷ 2 x 50 ms"), ("verified", "read back ÷ 3 x 50 ms"))):
        axes.plot(series[name], [at] * len(series[name]), "o", color=OURS, alpha=0.5)
        axes.text(1.005, at + 0.18, label)
    axes.axvline(1, color=OTHERS)
    axes.axvline(1.3, color=TARGET, linestyle="--")
    axes.set(ylim=(-0.6, 1.7), yticks=[], xlabel="time ÷ latency alone; one dot a leaver; dashed: target")


def offboarding(axes: Axes, series: Series) -> None:
    ways = list(series["requests"].items())
    top = 0
    for (way, requests), colour in zip(ways, (OURS, OTHERS), strict=True):
        for at, (arrived, answered) in enumerate(requests):
            axes.barh(-top - at, answered - arrived, left=arrived, color=colour)
        axes.text(requests[-1][1] + 0.05, -top - len(requests) / 2, f"{way}: {len(requests)} requests", color=colour)
        top += len(requests) + 3
    axes.set(yticks=[], xlabel="seconds from the first request, 50 ms of latency on each; a bar a request")
    axes.margins(x=0.25)


def imports(axes: Axes, series: Series) -> None:
    labels = {"libraries": "its libraries alone", "app": "the app, indexed", "models": "GraphServiceClient, one model"}
    alone = sorted(series["libraries"])[len(series["libraries"]) // 2]
    for at, (way, label) in enumerate(labels.items()):
        ratios = [value / alone for value in series[way]]
        axes.plot(ratios, [-at] * len(ratios), "o", color=OURS if way == "app" else OTHERS, alpha=0.5)
        axes.text(max(ratios) + 0.05, -at, label, va="center")
    axes.axvline(1.25, color=TARGET, linestyle="--")
    axes.set(
        yticks=[], ylim=(-2.6, 0.6), xlabel="process time ÷ median of its libraries alone; dashed: target of the app"
    )
    axes.margins(x=0.2)


def first(axes: Axes, series: Series) -> None:
    for start in series["starts"]:
        axes.plot(range(1, len(start) + 1), start, "o-", color=OURS, alpha=0.5)
    axes.set(ylim=(0, None), xlabel="leaver after the start", ylabel="process time, ms")
    axes.set_xticks(range(1, len(series["starts"][0]) + 1))


def sweep(axes: Axes, series: Series) -> None:
    names = list(series["requests"])
    axes.barh(names[::-1], [series["requests"][name] for name in names[::-1]], color=OURS)
    axes.axvline(12, color=TARGET, linestyle="--")
    axes.set(xlabel="Graph requests of a sweep, 10 changed; dashed: target")


def mass(axes: Axes, series: Series) -> None:
    for part, colour in (("containment", TARGET), ("clean-up", OURS)):
        seconds, writes = zip(*series[part], strict=True)
        axes.plot(seconds, [count / max(writes[-1], 1) for count in writes], color=colour, label=part)
    axes.legend(frameon=False)
    axes.set(xlabel="seconds", ylabel="share of its writes")


PLOTS: Mapping[str, Callable[[Axes, Series], None]] = {
    "containment": containment,
    "offboarding": offboarding,
    "imports": imports,
    "first": first,
    "sweep": sweep,
    "mass": mass,
}
TALL = {"offboarding": 5.5}


def draw(bench: str, series: Series, folder: Path) -> None:
    """Write the bench's plot, if it has one."""
    if bench not in PLOTS:
        return
    with mpl.rc_context(STYLE):
        figure, axes = plt.subplots(figsize=(7, TALL.get(bench, 2.2)), layout="constrained")
        PLOTS[bench](axes, series)
        figure.savefig(folder / f"{bench}.svg", metadata={"Date": None})
        plt.close(figure)
