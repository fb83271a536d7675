"""Where a process can die: every effect passes a wire before and after it, and the wire can be cut."""

from __future__ import annotations


class Crash(BaseException):
    """The process is gone. Nothing catches it, as nothing catches a SIGKILL."""


class Wire:
    """Counts the boundaries that are passed; at the one of number `cut_at` the process dies.

    A dead process does nothing more: whatever else was under way raises too, until `revive`.
    """

    def __init__(self) -> None:
        self.passed: list[str] = []
        self.cut_at: int | None = None
        self._dead = False

    def touch(self, boundary: str) -> None:
        if self._dead or len(self.passed) == self.cut_at:
            self._dead = True
            raise Crash(boundary)
        self.passed.append(boundary)

    def cut_after(self, more: int) -> None:
        """Die after `more` further boundaries."""
        self.cut_at = len(self.passed) + more

    def revive(self) -> None:
        """Start the process again, uncut."""
        self._dead, self.cut_at = False, None
