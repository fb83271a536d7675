"""What a failure of Azure Storage or Key Vault means for the caller; the SDK has already repeated what is worth it."""

from __future__ import annotations

from azure.core.exceptions import (
    AzureError,
    ClientAuthenticationError,
    HttpResponseError,
    ResourceExistsError,
    ResourceModifiedError,
    ResourceNotFoundError,
)

from shared.errors import Conflict, Denied, Refused, Transient

PASSING = frozenset({408, 429, 500, 502, 503, 504})


def named(subject: str, error: AzureError, needs: str) -> Exception:
    """`needs`: the role that a refusal calls for."""
    if not isinstance(error, HttpResponseError):
        return Transient(f"{subject}: {type(error).__name__}")
    if isinstance(error, ResourceExistsError | ResourceModifiedError) or error.status_code in (409, 412):
        return Conflict(f"{subject}: another writer was first")
    if isinstance(error, ResourceNotFoundError):
        return Conflict(f"{subject}: it is gone")
    if error.status_code in PASSING:
        return Transient(f"{subject}: {error.status_code}")
    if error.status_code in (401, 403):
        return Denied(f"{subject}: {error.status_code}", needs)
    if isinstance(error, ClientAuthenticationError):
        return Transient(f"{subject}: nobody answers the sign-in")
    return Refused(f"{subject}: {error.status_code} {getattr(error, 'error_code', '')}")
