"""What a failed sign-in means: azure-identity has one exception for a refusal and for a bad day."""

from __future__ import annotations

import re

from azure.core.exceptions import ClientAuthenticationError

NEEDS_CONSENT = "the app's consent in that tenant and its federated credential"

_REFUSALS = re.compile(r"AADSTS(65001|700016|70001\d|70002\d|70021\d*|7000\d{3}|90002|500011|53003)\b")
"""Codes that stay until somebody acts: no consent, unknown app or tenant, wrong credential or federated subject,
blocked by Conditional Access (Microsoft: Entra authentication error codes)."""


def is_refusal(error: ClientAuthenticationError) -> bool:
    """Whether signing in again would be refused again; otherwise Entra or the identity endpoint could not answer."""
    return _REFUSALS.search(str(error)) is not None
