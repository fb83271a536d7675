from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from typing import Any

from proton import Collector, Transport, TransportException, symbol
from proton import Connection as Engine

from sandbox.servicebus.errors import (
    EntityNotFoundError,
    MalformedError,
    NotAllowedError,
    QueueError,
    UnauthorizedError,
)
from sandbox.servicebus.links import (
    SESSION_FILTER,
    ReceiverLink,
    ReplyLink,
    RequestLink,
    SenderLink,
    cbs_answer,
    management_answer,
    management_refusal,
    refuse,
)
from sandbox.servicebus.management import Request, perform
from sandbox.servicebus.node import Node
from sandbox.servicebus.spec import DEAD_LETTER_SUFFIX
from sandbox.servicebus.tokens import SharedKey, covers, entity_of

CBS = "$cbs"
MANAGEMENT_SUFFIX = "/$management"
SESSION_TIMEOUT = symbol("com.microsoft:timeout")
DEFAULT_SESSION_TIMEOUT_MS = 65_000
_numbers = itertools.count(1)

Attached = SenderLink | ReceiverLink | RequestLink | ReplyLink


class Connection(asyncio.Protocol):
    """One client: Proton's protocol engine between a socket and the queues; `on_…` are Proton's events."""

    def __init__(
        self,
        nodes: dict[str, Node],
        key: SharedKey,
        clock: Callable[[], float],
        turn: Callable[[], None],
        members: set[Connection],
    ) -> None:
        self._nodes, self._key, self._clock, self._turn, self._members = nodes, key, clock, turn, members
        self._name = f"connection-{next(_numbers)}"
        self._engine, self._collector, self._transport = Engine(), Collector(), Transport(Transport.SERVER)
        self._links: dict[tuple[bool, str], Attached] = {}
        self._replies: dict[tuple[Any, str], ReplyLink] = {}
        self._tokens: dict[str, float] = {}
        self._socket: asyncio.Transport | None = None
        self._ticker: asyncio.TimerHandle | None = None

    # -- the socket's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if not isinstance(transport, asyncio.Transport):
            raise TypeError("the broker speaks TCP")
        self._socket = transport
        sasl = self._transport.sasl()
        sasl.allowed_mechs("ANONYMOUS")  # who the client is, `$cbs` says
        self._engine.container = "servicebus"
        self._engine.collect(self._collector)
        self._transport.bind(self._engine)
        self._members.add(self)

    def data_received(self, data: bytes) -> None:
        try:
            while data and (room := self._transport.capacity()) > 0:
                self._transport.push(data[:room])
                data = data[room:]
                self.dispatch()
        except TransportException:
            self.cut()
        self._turn()

    def connection_lost(self, exc: Exception | None) -> None:
        """A client that closes in order has detached before: whatever is still attached was cut off."""
        del exc
        self._members.discard(self)
        if self._ticker is not None:
            self._ticker.cancel()
        self._drop_links(cut=True)
        self._transport.unbind()
        self._turn()

    def cut(self) -> None:
        """Without an AMQP close: what a client sees when the network fails."""
        if self._socket is not None:
            self._socket.abort()

    def dispatch(self) -> None:
        while (event := self._collector.peek()) is not None:
            event.dispatch(self)
            self._collector.pop()

    def flush(self) -> None:
        """Runs in every turn, so one client's broken protocol must not reach the others."""
        try:
            self._flush()
        except TransportException:
            self.cut()

    def _flush(self) -> None:
        self.dispatch()
        if self._socket is None or self._socket.is_closing():
            return
        self._tick()
        while (pending := self._transport.pending()) > 0:
            self._socket.write(self._transport.peek(pending))
            self._transport.pop(pending)
            self.dispatch()
        if pending < 0:
            self._socket.close()

    def _tick(self) -> None:
        """Empty frames for a client that asked to hear from us within its idle timeout."""
        loop = asyncio.get_running_loop()
        if self._ticker is not None:
            self._ticker.cancel()
        deadline = self._transport.tick(loop.time())
        self._ticker = loop.call_at(deadline, self.flush) if deadline else None

    # -- connections and sessions

    def on_connection_remote_open(self, event: Any) -> None:
        event.connection.open()

    def on_connection_remote_close(self, event: Any) -> None:
        self._drop_links(cut=False)
        event.connection.close()

    def on_session_remote_open(self, event: Any) -> None:
        event.session.open()

    def on_session_remote_close(self, event: Any) -> None:
        for identity, attached in list(self._links.items()):
            if attached.link.session == event.session:
                self._drop(identity, cut=False)
        event.session.close()

    # -- links

    def on_link_remote_open(self, event: Any) -> None:
        link = event.link
        if not link.state & link.LOCAL_UNINIT:
            return
        address = (link.remote_source if link.is_sender else link.remote_target).address or ""
        try:
            self._attach(link, entity_of(address))
        except QueueError as error:
            self._links.pop((link.is_sender, link.name), None)
            refuse(link, error)

    def on_link_remote_close(self, event: Any) -> None:
        self._drop((event.link.is_sender, event.link.name), cut=False)
        event.link.close()

    def on_link_remote_detach(self, event: Any) -> None:
        self._drop((event.link.is_sender, event.link.name), cut=False)
        event.link.detach()

    def on_delivery(self, event: Any) -> None:
        attached = self._links.get((event.link.is_sender, event.link.name))
        if attached is not None:
            attached.on_delivery(event.delivery)

    def _drop_links(self, *, cut: bool) -> None:
        for identity in list(self._links):
            self._drop(identity, cut=cut)

    def _drop(self, identity: tuple[bool, str], *, cut: bool) -> None:
        attached = self._links.pop(identity, None)
        if isinstance(attached, ReceiverLink):
            attached.node.detach(attached, self._clock(), cut=cut)

    def _attach(self, link: Any, address: str) -> None:
        if address == CBS:
            self._attach_service(link, address, self._put_token)
            return
        entity = address.removesuffix(MANAGEMENT_SUFFIX)
        node = self._authorized_node(entity)
        if address != entity:
            self._attach_service(link, address, lambda request: self._manage(link, node, request))
        elif link.is_receiver:
            if entity.endswith(DEAD_LETTER_SUFFIX):
                raise NotAllowedError("A dead-letter queue takes no messages from senders.")
            self._remember(link, SenderLink(link, node, self._clock))
        else:
            self._attach_receiver(link, node)

    def _authorized_node(self, entity: str) -> Node:
        now = self._clock()
        if not any(covers(root, entity) and until > now for root, until in self._tokens.items()):
            raise UnauthorizedError(entity)
        if entity not in self._nodes:
            raise EntityNotFoundError(entity)
        return self._nodes[entity]

    def _remember(self, link: Any, attached: Attached) -> None:
        self._links[link.is_sender, link.name] = attached

    def _attach_receiver(self, link: Any, node: Node) -> None:
        wants_session, session_id = _session_filter(link.remote_source.filter)
        if wants_session != node.queue.spec.sessions:
            raise NotAllowedError(
                "It is not possible for an entity that requires sessions to create a non-sessionful message receiver."
                if node.queue.spec.sessions
                else "A sessionful message receiver cannot be created on an entity that does not require sessions."
            )
        receiver = ReceiverLink(link, node, self._owner(link.name), self._clock)
        self._remember(link, receiver)
        if not wants_session:
            receiver.open()
            return
        now = self._clock()
        wait_ms = (link.remote_properties or {}).get(SESSION_TIMEOUT, DEFAULT_SESSION_TIMEOUT_MS)
        node.accept_session(receiver, session_id, now + int(wait_ms) / 1000, now)

    def _attach_service(self, link: Any, address: str, answer: Callable[[Any], Any]) -> None:
        if link.is_sender:
            reply = ReplyLink(link)
            self._replies[link.session, address] = reply
            self._remember(link, reply)
            return
        session = link.session
        self._remember(link, RequestLink(link, answer, lambda message: self._reply(session, address, message)))

    def _reply(self, session: Any, address: str, message: Any) -> None:
        reply = self._replies.get((session, address))
        if reply is not None:
            reply.send(message)

    def _owner(self, link_name: str) -> str:
        return f"{self._name}/{link_name}"

    # -- requests

    def _put_token(self, request: Any) -> Any:
        properties = request.properties or {}
        audience = str(properties.get("name", ""))
        expiry = self._key.expiry(str(request.body), audience, self._clock())
        if expiry is not None:
            self._tokens[entity_of(audience)] = expiry
        return cbs_answer(accepted=expiry is not None)

    def _manage(self, link: Any, node: Node, request: Any) -> Any:
        properties = request.properties or {}
        owner = self._owner(str(properties.get("associated-link-name", link.name)))
        try:
            if not isinstance(request.body, dict):
                raise MalformedError("The request's body is not a map.")
            asked = Request(node.queue, request.body, owner, self._clock())
            return management_answer(perform(str(properties.get("operation")), asked))
        except QueueError as error:
            return management_refusal(error)


def _session_filter(source_filter: Any) -> tuple[bool, str | None]:
    """Whether a session is wanted, and which: a filter without a name asks for the next available one."""
    source_filter.rewind()
    filters = (source_filter.get_object() or {}) if source_filter.next() else {}
    if SESSION_FILTER not in filters:
        return False, None
    wanted = filters[SESSION_FILTER]
    wanted = getattr(wanted, "value", wanted)
    return True, None if wanted is None else str(wanted)
