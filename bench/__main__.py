"""`python -m bench [NAME …]`: every bench in a process of its own, then its results, plot and table under docs/.

Without names all of them; with names those, and what the others found last stays. Ends with 1 when a target is missed.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.figures import say
from bench.plots import draw

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "performance.md"
FOLDER = ROOT / "docs" / "performance"
BENCHES = ("containment", "offboarding", "imports", "first", "sweep", "mass")
Result = Mapping[str, Any]


def main() -> int:
    there = [name for name in BENCHES if importlib.util.find_spec(f"bench.{name}")]
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(there)}")
    names = parser.parse_args().names or there
    if unknown := set(names) - set(there):
        parser.error(f"no bench {', '.join(sorted(unknown))}; there are: {', '.join(there)}")
    FOLDER.mkdir(exist_ok=True)
    results = [_measured(name) for name in names]
    for result in results:
        _publish(result)
    missed = [figure["name"] for result in results for figure in result["figures"] if figure["missed"]]
    say(f"missed: {'; '.join(missed)}" if missed else "every target is met")
    return int(bool(missed))


def _measured(name: str) -> Result:
    """What `python -m bench.NAME` prints; compiled files are kept, as wherever the app runs."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    command = [sys.executable, "-m", f"bench.{name}"]
    done = subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode not in (0, 1) or not done.stdout:
        sys.exit(f"bench {name} ended with status {done.returncode}")
    result: Result = json.loads(done.stdout)
    return result


def _publish(result: Result) -> None:
    name = str(result["bench"])
    (FOLDER / f"{name}.json").write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    draw(name, result["series"], FOLDER)
    text = PAGE.read_text(encoding="utf-8")
    between = re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.DOTALL)
    PAGE.write_text(between.sub(lambda found: f"{found[1]}{_table(result)}{found[2]}", text), encoding="utf-8")


def _table(result: Result) -> str:
    rows = [f"| {one['name']} | {_said(one)} | {_target(one)} |\n" for one in result["figures"]]
    return f"| figure | measured | target |\n|---|---|---|\n{''.join(rows)}\nHow: {result['how']}.\n"


def _said(figure: Mapping[str, Any]) -> str:
    missed = " (missed)" if figure["missed"] else ""
    return f"{figure['value']:,.4g} {figure['unit']}".strip() + missed


def _target(figure: Mapping[str, Any]) -> str:
    return "" if figure["most"] is None else f"at most {figure['most']:g} {figure['unit']}".strip()


if __name__ == "__main__":
    sys.exit(main())
