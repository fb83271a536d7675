"""The services of one deployment, wired from ports: the same for the Functions app, the commands and the tests."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

from jml.baseline import Baselines
from jml.breaker import Breaker
from jml.decisions import Decisions
from jml.gather import MsspTenant
from jml.holds import Holds
from jml.lifecycle import Lifecycle
from jml.policy import Policy
from jml.release import Release
from jml.reports import Reports
from jml.subjects import Subjects
from jml.sweep import Sweep
from jml.terminations import Terminations
from jml.truth import CorporateTenant
from shared.authorisation import Door
from shared.clock import Clock
from shared.ports import Container, Graph, Messages, Signer, TableStore
from shared.proof import Proof


@dataclass(frozen=True)
class Services:
    """`graph` gives the Graph of a tenant; `corporate` and `mssp` are tenant ids."""

    policy: Policy
    corporate: str
    mssp: str
    graph: Callable[[str], Graph]
    store: TableStore
    messages: Messages
    checkpoints: Container
    signer: Signer
    door: Door
    clock: Clock

    @cached_property
    def corporate_tenant(self) -> CorporateTenant:
        return CorporateTenant(self.graph(self.corporate), self.policy)

    @cached_property
    def mssp_tenant(self) -> MsspTenant:
        customers = {str(tenant): self.graph(str(tenant)) for tenant in self.policy.residual_access.customer_tenants}
        return MsspTenant(self.graph(self.mssp), customers)

    @cached_property
    def lifecycle(self) -> Lifecycle:
        return Lifecycle(
            tenant=self.corporate,
            policy=self.policy,
            corporate=self.corporate_tenant,
            mssp=self.mssp_tenant,
            writer=self.graph(self.mssp),
            breaker=self.breaker,
            holds=self.holds,
            store=self.store,
            messages=self.messages,
            proof=self.proof,
            clock=self.clock,
        )

    @cached_property
    def sweep(self) -> Sweep:
        return Sweep(
            policy=self.policy,
            corporate=self.corporate_tenant,
            mssp=self.mssp_tenant,
            breaker=self.breaker,
            baselines=self.baselines,
            store=self.store,
            clock=self.clock,
        )

    @cached_property
    def release(self) -> Release:
        return Release(self.corporate, self.store, self.messages, self.breaker, self.holds, self.clock)

    @cached_property
    def breaker(self) -> Breaker:
        return Breaker(self.policy.limits, self.store, self.clock)

    @cached_property
    def subjects(self) -> Subjects:
        return Subjects(self.corporate, self.mssp_tenant)

    @cached_property
    def decisions(self) -> Decisions:
        return Decisions(self.store, self.proof, self.clock)

    @cached_property
    def holds(self) -> Holds:
        return Holds(self.policy, self.corporate_tenant, self.store, self.decisions, self.subjects, self.clock)

    @cached_property
    def terminations(self) -> Terminations:
        return Terminations(self.store, self.release, self.decisions, self.subjects, self.clock)

    @cached_property
    def baselines(self) -> Baselines:
        return Baselines(self.store, self.decisions, self.clock)

    @cached_property
    def reports(self) -> Reports:
        return Reports(self.store, self.proof)

    @cached_property
    def proof(self) -> Proof:
        return Proof(self.store, self.checkpoints, self.signer, self.clock)
