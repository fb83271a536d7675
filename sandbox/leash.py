"""Runs a command that dies with the process that started it, even when that one is killed outright.

    python -I -S sandbox/leash.py PARENT_PID COMMAND …

On Linux the kernel sends the signal (`PR_SET_PDEATHSIG`, kept across `exec`); elsewhere children end only
with the supervisor's orderly stop. Run as a file without the site packages: it costs 20 ms.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from pathlib import Path

PR_SET_PDEATHSIG = 1


def leashed(*command: str) -> list[str]:
    return [sys.executable, "-I", "-S", str(Path(__file__)), str(os.getpid()), *command]


def _main(parent: int, command: list[str]) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it died before the request was made
            sys.exit(1)
    os.execvp(command[0], command)  # noqa: S606 - replacing this process is the purpose


if __name__ == "__main__":
    _main(int(sys.argv[1]), sys.argv[2:])
