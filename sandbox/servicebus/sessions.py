from __future__ import annotations

from collections.abc import Iterable

from sandbox.servicebus.errors import SessionCannotBeLockedError, SessionLockLostError
from sandbox.servicebus.message import SessionLock


class Sessions:
    """Who holds which session of one queue until when, and what state each session keeps."""

    def __init__(self, lock_s: float) -> None:
        self._lock_s = lock_s
        self._locks: dict[str, SessionLock] = {}
        self._states: dict[str, bytes] = {}

    def lock(self, session_id: str, owner: str, now: float) -> SessionLock:
        if session_id in self._locks:
            raise SessionCannotBeLockedError(session_id)
        lock = SessionLock(session_id, owner, now + self._lock_s)
        self._locks[session_id] = lock
        return lock

    def held(self, session_id: str, owner: str) -> SessionLock:
        lock = self._locks.get(session_id)
        if lock is None or lock.owner != owner:
            raise SessionLockLostError(session_id)
        return lock

    def is_locked(self, session_id: str) -> bool:
        return session_id in self._locks

    def until(self, session_id: str) -> float | None:
        lock = self._locks.get(session_id)
        return lock.until if lock else None

    def renew(self, session_id: str, owner: str, now: float) -> float:
        lock = self.held(session_id, owner)
        lock.until = now + self._lock_s
        return lock.until

    def unlock(self, session_id: str, owner: str) -> bool:
        """False where the owner had lost it already."""
        lock = self._locks.get(session_id)
        if lock is None or lock.owner != owner:
            return False
        del self._locks[session_id]
        return True

    def expire(self, now: float) -> list[SessionLock]:
        expired = [lock for lock in self._locks.values() if lock.until <= now]
        for lock in expired:
            del self._locks[lock.session_id]
        return expired

    def deadlines(self) -> Iterable[float]:
        return (lock.until for lock in self._locks.values())

    def state(self, session_id: str, owner: str) -> bytes | None:
        self.held(session_id, owner)
        return self._states.get(session_id)

    def set_state(self, session_id: str, owner: str, state: bytes | None) -> None:
        self.held(session_id, owner)
        if state is None:
            self._states.pop(session_id, None)
        else:
            self._states[session_id] = state
