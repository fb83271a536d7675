"""Errors, named for what happens next."""

from __future__ import annotations

from collections.abc import Sequence


class InvalidEvent(ValueError):
    """The message cannot be read: it goes to `rejected` with this reason and is never tried again."""


class InvalidConfiguration(ValueError):
    """Settings or policy are wrong: the start stops and shows every problem at once."""

    def __init__(self, subject: str, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join([f"{subject}: {len(self.problems)} problem(s)", *(f"  - {p}" for p in problems)]))


class Transient(RuntimeError):
    """The other side could not answer now: the run is saved and tried again after `retry_after` seconds."""

    def __init__(self, reason: str, retry_after: float = 0.0) -> None:
        super().__init__(reason)
        self.retry_after = retry_after


class Denied(RuntimeError):
    """A person has to act first, usually by granting what `needs` names: the run ends `blocked`."""

    def __init__(self, reason: str, needs: str) -> None:
        super().__init__(f"{reason}; needs {needs}")
        self.needs = needs


class Refused(RuntimeError):
    """The other side says no, and would again: it is recorded, and the run goes on without it."""


class Conflict(RuntimeError):
    """Somebody else wrote first: read again, then decide again."""


class LostOrder(RuntimeError):
    """Another worker has the run: this one stops at once, and the message is delivered again."""


class Held(RuntimeError):
    """A limit is reached: nothing is sent, and the run ends `held` until a person releases it."""


class NotThere(LookupError):
    """There is nothing of that id."""


class Undecidable(RuntimeError):
    """A decision cannot be taken so: the message says why. `digest`: of the plan as it is now, where that is why."""

    def __init__(self, reason: str, digest: str = "") -> None:
        super().__init__(reason)
        self.digest = digest


class Unsafe(RuntimeError):
    """A guard says no to a step that was about to run: nothing is sent, and the run ends `blocked`."""
