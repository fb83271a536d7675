"""World files: the tenants, people, groups, roles, packages and applications that the sandbox starts with.

Keys are camelCase where they are properties of Graph (any structural property of the type is taken) and snake_case
where they are the sandbox's own words. Whatever is named may be named by id, displayName, userPrincipalName or its
part before the @. Ids may be left out: they follow from tenant, kind and name, so that they are the same each time.
"""

from __future__ import annotations

import json
import uuid
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from sandbox.directory_roles import ROLE_TEMPLATES
from sandbox.errors import WorldError

NAMESPACE = uuid.UUID("5e0d6f0c-3a3c-5a54-9d43-0b0c7c3f5d10")
GUID = r"^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$"

Guid = Annotated[str, StringConstraints(pattern=GUID)]
Name = Annotated[str, StringConstraints(min_length=1, max_length=256)]
GraphObject = dict[str, Any]
RoleName = Annotated[str, StringConstraints(min_length=1), Field(examples=sorted(ROLE_TEMPLATES)[:3])]


def stable_id(*parts: str) -> str:
    """The id of whatever these parts name, the same in every run."""
    return str(uuid.uuid5(NAMESPACE, "/".join(part.casefold() for part in parts)))


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", validate_default=False)


class Settings(Strict):
    consistency_ms: int = Field(default=0, ge=0, description="A write shows on reads only after this long")
    delivery_ms: int = Field(default=0, ge=0, description="From a package request's submission to its delivery")
    throttle_scale: float = Field(default=1.0, gt=0, description="Share of the documented quotas that the tenants get")
    unit_window_s: float = Field(default=10.0, gt=0, description="Seconds of the window of resource units")
    write_window_s: float = Field(default=150.0, gt=0, description="Seconds of the window of writes")
    page_size: int = Field(default=100, ge=1, le=999, description="Objects a page where the request names no $top")


class Named(BaseModel):
    """An object of Graph: its own properties are checked against Microsoft's models when the world is loaded."""

    model_config = ConfigDict(extra="allow")
    id: Guid = ""
    displayName: Name  # noqa: N815 - Graph's own spelling

    def graph(self) -> GraphObject:
        """The properties of Graph that the file gives."""
        return {"id": self.id, "displayName": self.displayName, **(self.__pydantic_extra__ or {})}


class Group(Named):
    kind: Literal["assigned", "role-assignable", "dynamic", "synced", "mail-enabled", "microsoft-365"] = "assigned"
    members: list[Name] = []
    owners: list[Name] = []
    pim: bool = Field(default=False, description="Onboarded to Privileged Identity Management for Groups")


class Device(Named):
    users: list[Name] = []
    owners: list[Name] = []


class ServicePrincipal(Named):
    owners: list[Name] = []


class ScopedRole(Strict):
    role: RoleName
    principal: Name


class AdministrativeUnit(Named):
    members: list[Name] = []
    scoped_roles: list[ScopedRole] = []


class RoleAssignment(Strict):
    principal: Name
    role: RoleName


class RoleActivation(RoleAssignment):
    started_minutes_ago: int = Field(default=60, ge=0)
    lasts_minutes: int = Field(default=480, ge=1)


class GroupEligibility(Strict):
    principal: Name
    group: Name
    access: Literal["member", "owner"] = "member"


class GroupActivation(GroupEligibility):
    started_minutes_ago: int = Field(default=60, ge=0)
    lasts_minutes: int = Field(default=480, ge=1)


class AccessPackage(Named):
    policies: list[Name] = ["Initial Policy"]
    groups: list[Name] = []
    assigned: list[Name] = []


class AppRole(Strict):
    principal: Name
    resource: Name
    role: Name = "default"


class OAuth2Grant(Strict):
    principal: Name
    client: Name
    resource: Name
    scope: Name


class Tenant(Strict):
    id: Guid = ""
    display_name: Name
    domain: Name
    cloud: Literal["public", "usgov"] = "public"
    users: list[GraphObject] = []
    deleted_users: list[GraphObject] = []
    groups: list[Group] = []
    devices: list[Device] = []
    service_principals: list[ServicePrincipal] = []
    administrative_units: list[AdministrativeUnit] = []
    role_assignments: list[RoleAssignment] = []
    role_eligibilities: list[RoleAssignment] = []
    role_activations: list[RoleActivation] = []
    group_eligibilities: list[GroupEligibility] = []
    group_activations: list[GroupActivation] = []
    access_packages: list[AccessPackage] = []
    app_roles: list[AppRole] = []
    oauth2_grants: list[OAuth2Grant] = []
    authentication_methods: dict[Name, list[GraphObject]] = {}


class ManagedIdentity(Strict):
    client_id: Guid = ""
    principal_id: Guid = ""


class Application(Strict):
    app_id: Guid = ""
    managed_identity: ManagedIdentity | None = None
    home_tenant: Name = "mssp"
    grants: dict[Name, list[Name]] = {}
    directory_roles: dict[Name, list[RoleName]] = {}

    def object_id(self, tenant_name: str) -> str:
        """The object id of the application's service principal in a tenant."""
        return stable_id(tenant_name, "servicePrincipals", self.app_id)


class World(Strict):
    settings: Settings = Settings()
    tenants: dict[Name, Tenant]
    applications: dict[Name, Application] = {}
    x_scenario: dict[str, Any] = Field(default={}, description="Free notes of whoever wrote the world")

    def tenant_by_id(self, tenant_id: str) -> str | None:
        """The name of the tenant with that id."""
        return next((name for name, tenant in self.tenants.items() if tenant.id == tenant_id), None)


def load_world(path: str | Path, default_grants: dict[str, list[str]] | None = None) -> World:
    """Read a world file; WorldError names every mistake. `default_grants` are for application `jml`."""
    return parse_world(_read(Path(path)), default_grants)


def parse_world(data: Any, default_grants: dict[str, list[str]] | None = None) -> World:
    """A world from parsed YAML or JSON, its ids filled in and its references checked."""
    from sandbox.world_checks import mistakes_in

    try:
        world = World.model_validate(data)
    except ValidationError as error:
        raise WorldError([_sentence(one) for one in error.errors()]) from error
    _fill_in(world, default_grants or {})
    if mistakes := mistakes_in(world):
        raise WorldError(mistakes)
    return world


def _read(path: Path) -> Any:
    try:
        text = path.read_text(encoding="utf-8")
        return json.loads(text) if path.suffix == ".json" else yaml.load(text, Loader=_Loader)  # noqa: S506
    except (OSError, UnicodeDecodeError, json.JSONDecodeError, yaml.YAMLError) as error:
        raise WorldError([f"{path}: {error}"]) from error


_Base: type[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Loader(_Base):  # type: ignore[misc]
    """Safe YAML that leaves timestamps as the strings that Graph speaks."""


_Loader.yaml_implicit_resolvers = {
    key: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for key, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def _sentence(error: Any) -> str:
    where = ".".join(str(part) for part in error["loc"])
    return f"{where or 'the file'}: {error['msg']}"


def _fill_in(world: World, default_grants: dict[str, list[str]]) -> None:
    """Ids that the file leaves out, and the application under test where it says nothing of it."""
    for name, tenant in world.tenants.items():
        _fill_in_tenant(name, tenant)
    if default_grants:
        jml = world.applications.setdefault("jml", Application())
        customer = default_grants.get("customer", [])
        jml.grants = jml.grants or {name: default_grants.get(name, customer) for name in world.tenants}
    for name, application in world.applications.items():
        application.app_id = application.app_id or stable_id("applications", name)
        identity = application.managed_identity or ManagedIdentity()
        identity.client_id = identity.client_id or stable_id("managedIdentities", name, "client")
        identity.principal_id = identity.principal_id or stable_id("managedIdentities", name, "principal")
        application.managed_identity = identity


def _fill_in_tenant(name: str, tenant: Tenant) -> None:
    tenant.id = tenant.id or stable_id("tenants", name)
    for user in [*tenant.users, *tenant.deleted_users]:
        user.setdefault("id", stable_id(name, "users", str(user.get("userPrincipalName"))))
    for kind in ("groups", "devices", "service_principals", "administrative_units", "access_packages"):
        for item in getattr(tenant, kind):
            item.id = item.id or stable_id(name, kind, item.displayName)
