"""`python -m sandbox.functions_host --port N --app DIR`: settings come from the environment, as in Azure.

One line of JSON on standard output when ready; everything else, `print` of the app too, on standard error.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import signal
import sys
from pathlib import Path
from typing import TextIO

from sandbox.functions_host.bindings import MissingSetting, UnsupportedFunction
from sandbox.functions_host.host import Host
from sandbox.functions_host.host_json import InvalidHostJson
from sandbox.functions_host.routes import InvalidRoute
from sandbox.functions_host.schedule import InvalidSchedule
from sandbox.functions_host.worker import AppFailedToStart

QUIET_LOGGERS = ("aiohttp", "asyncio")
START_ERRORS = (
    AppFailedToStart,
    InvalidHostJson,
    InvalidRoute,
    InvalidSchedule,
    MissingSetting,
    UnsupportedFunction,
    OSError,
)


def main() -> int:
    options = _parse()
    ready_line = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    for name in QUIET_LOGGERS:
        logging.getLogger(name).setLevel(logging.WARNING)
    app = options.app.resolve()
    os.chdir(app)
    try:
        asyncio.run(_run(Host(app, options.port, options.timer_status), ready_line))
    except START_ERRORS as failure:
        sys.stderr.write(f"{failure}\n")
        return 1
    return 0


async def _run(host: Host, ready_line: TextIO) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    try:
        await host.start()
        names = [function.name for function in host.functions]
        print(json.dumps({"url": host.url, "functions": names}), file=ready_line, flush=True)
        ready_line.close()
        await stop.wait()
    finally:
        await host.stop()
        logging.getLogger("asyncio").setLevel(
            logging.CRITICAL
        )  # an app in Functions is never told to close its clients


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m sandbox.functions_host", description=__doc__)
    parser.add_argument("--app", type=Path, required=True, help="folder of function_app.py and host.json")
    parser.add_argument("--port", type=int, default=0, help="port on loopback; 0 takes a free one")
    parser.add_argument("--timer-status", type=Path, help="file that keeps when each timer ran and is due")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
