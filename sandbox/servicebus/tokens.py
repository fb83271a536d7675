from __future__ import annotations

import base64
import hashlib
import hmac
import urllib.parse
from dataclasses import dataclass

SAS_PREFIX = "SharedAccessSignature "


@dataclass(frozen=True, slots=True)
class SharedKey:
    """The one shared access key of the namespace.

    https://learn.microsoft.com/azure/service-bus-messaging/service-bus-sas
    """

    name: str
    value: str

    def expiry(self, token: str, audience: str, now: float) -> float | None:
        """When the token ends, or None where it proves nothing about the audience.

        Judged by the token alone: the SDK calls its shared access signatures `jwt`.
        """
        if not token.startswith(SAS_PREFIX):
            return None
        fields = dict(urllib.parse.parse_qsl(token.removeprefix(SAS_PREFIX)))
        if not {"sr", "sig", "se", "skn"} <= fields.keys() or not fields["se"].isdecimal():
            return None
        signed = f"{urllib.parse.quote_plus(fields['sr'])}\n{fields['se']}".encode()
        signature = base64.b64encode(hmac.digest(self.value.encode(), signed, hashlib.sha256)).decode()
        proven = hmac.compare_digest(signature, fields["sig"]) and fields["skn"] == self.name
        expiry = float(fields["se"])
        return expiry if proven and covers(fields["sr"], entity_of(audience)) and expiry > now else None


def entity_of(address: str) -> str:
    """`sb://host/queue`, `amqp://host/queue` and `queue` are the same entity."""
    path = address.split("://", 1)[-1].partition("/")[2] if "://" in address else address
    return path.strip("/").lower()


def covers(resource: str, entity: str) -> bool:
    """A token for a namespace or queue is good for everything below it."""
    root = entity_of(resource)
    return not root or entity == root or entity.startswith(root + "/")
