"""An append-only container in memory, and a key to sign with."""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import cache

from cryptography.hazmat.primitives.asymmetric import padding, rsa

from shared.adapters.signing import DIGEST, PublicKeys, thumbprint
from shared.errors import Conflict, Denied, Transient
from shared.ports import KeyName
from tests.fakes.wire import Wire


@cache
def private_key(name: str) -> rsa.RSAPrivateKey:
    """One for each name, made once."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def trusted(*names: str) -> PublicKeys:
    return PublicKeys([private_key(name).public_key() for name in names or ("own",)])


class MemoryContainer:
    """Container over a dictionary. `blobs` is open to tests that forge; `away`: nobody answers."""

    def __init__(self, wire: Wire | None = None) -> None:
        self.blobs: dict[str, bytes] = {}
        self.away = False
        self.gets = 0
        self._wire = wire or Wire()

    async def add(self, name: str, content: bytes) -> None:
        self._answer()
        self._wire.touch("before add checkpoint")
        if name in self.blobs:
            raise Conflict(f"{name} is there already")
        self.blobs[name] = content
        self._wire.touch("after add checkpoint")

    async def get(self, name: str) -> bytes | None:
        self._answer()
        self.gets += 1
        return self.blobs.get(name)

    async def names(self) -> AsyncIterator[str]:
        self._answer()
        for name in sorted(self.blobs):
            yield name

    def _answer(self) -> None:
        if self.away:
            raise Transient("container: nobody answers")


class MemorySigner:
    """Signs with a key of its own. `away`: it cannot be asked; `rotated_to`: refused once, then signed with that."""

    def __init__(self, name: str = "own") -> None:
        self._private = private_key(name)
        self.away = False
        self.signed = 0
        self.rotated_to = ""

    async def key(self) -> KeyName:
        return KeyName("https://vault.example/keys/checkpoints/1", thumbprint(self._private.public_key()))

    async def sign(self, digest: bytes) -> bytes:
        if self.away:
            raise Transient("vault: nobody answers")
        if self.rotated_to:
            self._private, self.rotated_to = private_key(self.rotated_to), ""
            raise Denied("the key is disabled", "its current version")
        self.signed += 1
        return self._private.sign(digest, padding.PKCS1v15(), DIGEST)
