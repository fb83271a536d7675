"""Microsoft Graph v1.0, strict, for any number of tenants: data tables and one OData layer."""

from sandbox.graph.service import GraphService

__all__ = ["GraphService"]
