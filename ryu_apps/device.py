"""The access control device as a running thing: sessions with switches, the state machine, and what it decides.

No handler here waits. Files are written by the clerk, timers and path changes run in green threads of their own.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ryu.lib import hub

from kirikae import punted
from kirikae.configuration.model import Configuration, Terminator
from kirikae.decision import commands as do
from kirikae.decision import events as on
from kirikae.decision.machine import AccessControl
from kirikae.identity import PairId, PortRef, Side
from kirikae.pipeline.differ import Comparison, Held, learned_pairs, route_change, state_change
from kirikae.pipeline.paths import find_paths
from kirikae.pipeline.program import compile_routes, compile_state, fixed_rules
from kirikae.pipeline.rules import Kind, kind_of
from kirikae.pipeline.switchview import SwitchView, UnknownPort, look_from
from ryu_apps import openflow, packetout
from ryu_apps.clerk import Clerk
from ryu_apps.session import Batch, Session

LOG = logging.getLogger("kirikae")
SETTLE_S = 0.05
"""How long to collect dead links before paths are computed anew: one cut often takes several ports."""

PAUSE_EVERY = 200
"""Rules between two pauses while a program is made: some 3 ms."""


@dataclass
class Attached:
    """What the configuration says about one port of one switch."""

    terminator: Terminator | None = None
    server: tuple[str, Side] | None = None
    trunk: PortRef | None = None


class Device:
    """Sessions by dpid, one state machine, one clerk."""

    def __init__(self, configuration: Configuration, state_directory: str | None, journal: str | None) -> None:
        self.configuration = configuration
        directory = Path(state_directory or configuration.controller.state_directory)
        self.clerk = Clerk(directory, Path(journal) if journal else directory / "events.jsonl")
        self.machine = AccessControl(configuration, self.clerk.load())
        self.sessions: dict[int, Session] = {}
        self.views: dict[int, SwitchView] = {}
        self.attached: dict[int, dict[int, Attached]] = {}
        self.rejected: dict[str, int] = {}
        """Punted packets that gave no reason to act, by reason."""
        self._switch_of = {switch.dpid: switch for switch in configuration.switches.values()}
        self._dead_links: frozenset[PortRef] = frozenset()
        self._paths = find_paths(configuration)
        self._rerouting = False
        self._timers: dict[str, object] = {}
        self._decisions = 0

    def start(self) -> None:
        self.clerk.start(self.configuration, self.machine)
        for note in self.machine.notes:
            LOG.warning("%s", note)
        for timer, at in self.machine.timers().items():
            self._carry_out(do.StartTimer(timer, at))

    def stop(self) -> None:
        self.clerk.stop()

    @property
    def ready(self) -> bool:
        """Every configured switch is connected and holds its program."""
        return len(self.sessions) == len(self._switch_of) and all(s.ready for s in self.sessions.values())

    # --- decisions --------------------------------------------------------------------------------------------------

    def decide(self, event: on.Event) -> list[do.Command]:
        """Let the state machine decide, carry it out, write it down."""
        now = time.time()
        commands = self.machine.decide(event, now)
        if not commands:
            return commands
        self._decisions += 1
        steered = [
            command for command in commands if isinstance(command, do.SteerPair | do.SteerServer | do.AllowLearning)
        ]
        if steered:
            self._steer(steered, now)
        for command in commands:
            self._carry_out(command)
        self.clerk.decided(self._decisions, now, event, commands)
        return commands

    def _steer(self, steered: list, now: float) -> None:
        back = [_target(c) for c in steered if not isinstance(c, do.AllowLearning) and c.side is Side.ACTIVE]
        steering = self.machine.steering()
        for dpid, session in self.sessions.items():
            if session.state is None:
                continue
            state = compile_state(self.configuration, steering, self.views[dpid])
            changes = state_change(self.configuration, session.state, state, back if state else ())
            if not changes.empty:
                session.state = state
                session.apply(changes, Batch(self._decisions, now, changes.flow_mods, self._applied))

    def _applied(self, session: Session, batch: Batch, seconds: float) -> None:
        self.clerk.applied(session.switch.name, batch.decision, batch.flow_mods, seconds * 1000)

    def _carry_out(self, command: do.Command) -> None:
        match command:
            case do.RouteAgain(pair=pair, request=request):
                self._route_again(pair, request)
            case do.StartTimer(timer=timer, at=at):
                self._stop_timer(timer)
                self._timers[timer] = hub.spawn_after(max(0.0, at - time.time()), self._expired, timer)
            case do.StopTimer(timer=timer):
                self._stop_timer(timer)
            case do.Persist(server=server):
                self.clerk.persist(self.machine, server)
            case do.Notify(severity=severity, about=about, text=text):
                level = {"info": logging.INFO, "warning": logging.WARNING}.get(severity.value, logging.ERROR)
                LOG.log(level, "%s: %s", about, text)

    def _expired(self, timer: str) -> None:
        self._timers.pop(timer, None)
        self.decide(on.HoldExpired(timer))

    def _stop_timer(self, timer: str) -> None:
        running = self._timers.pop(timer, None)
        if running is not None:
            hub.kill(running)

    # --- switches ---------------------------------------------------------------------------------------------------

    def switch_connected(self, datapath: Any) -> None:
        switch = self._switch_of.get(datapath.id)
        if switch is None:
            LOG.warning(
                "a switch with dpid %d connected; no switch has that dpid in %s", datapath.id, self.configuration.source
            )
            return
        old = self.sessions.pop(datapath.id, None)
        if old is not None:
            old.stop()
        session = self.sessions[datapath.id] = Session(datapath, switch)
        session.start()
        session.read_everything(lambda held: self._synchronise(session, held))

    def switch_disconnected(self, datapath: Any) -> None:
        session = self.sessions.get(datapath.id)
        if session is not None and session.datapath is datapath:
            del self.sessions[datapath.id]
            session.stop()
            self.clerk.noted(f"switch {session.switch.name} disconnected")
            LOG.warning("switch %s disconnected; it carries on by itself", session.switch.name)

    def _synchronise(self, session: Session, held: Held) -> None:
        """The switch has said all it holds: adopt what it did alone, then send the difference."""
        dpid = session.datapath.id
        try:
            view = look_from(self.configuration, session.switch, session.ports)
        except UnknownPort as error:
            LOG.error("%s; mend the configuration or add the port, then reconnect the switch", error)
            return
        self.views[dpid] = view
        self.attached[dpid] = attachments(self.configuration, view)
        for port in self.attached[dpid]:
            self._port_event(session, port)
        for pair in learned_pairs(self.configuration, held):
            if self.machine.steering().side_of(pair) is Side.ACTIVE:
                self.decide(on.SwitchHadLearned(pair, session.switch.name))
        hub.spawn(self._bring_up_to_date, session, view, held)

    def _bring_up_to_date(self, session: Session, view: SwitchView, held: Held) -> None:
        """Compare rule by rule, with pauses: takeovers elsewhere go on while a large program is made."""
        comparison = Comparison(held)
        for number, rule in enumerate(fixed_rules(self.configuration, view)):
            comparison.want(rule)
            if number % PAUSE_EVERY == 0:
                hub.sleep(0)
        if self.sessions.get(session.datapath.id) is not session:
            return
        # No pause from here on: paths and steering must not change between reading and sending.
        session.paths = self._paths
        routes = compile_routes(self.configuration, self._paths, view)
        steering = self.machine.steering()
        session.state = compile_state(self.configuration, steering, view)
        for rule in (*routes.rules, *session.state):
            comparison.want(rule)
        changes = comparison.changes(self.configuration, steering, routes.groups, openflow.group_form, view.meters.used)
        session.apply(changes, Batch(None, time.time(), changes.flow_mods, self._synchronised))

    def _synchronised(self, session: Session, batch: Batch, seconds: float) -> None:
        session.ready = True
        self._applied(session, batch, seconds)
        LOG.info("switch %s is ready: %d flow-mods in %.0f ms", session.switch.name, batch.flow_mods, seconds * 1000)
        if self.ready:
            self.clerk.noted("ready", **{"switches": len(self.sessions)})
            LOG.info("ready: all %d switches hold their programs", len(self.sessions))

    # --- messages ---------------------------------------------------------------------------------------------------

    def _session(self, datapath: Any) -> Session | None:
        session = self.sessions.get(datapath.id)
        return session if session is not None and session.datapath is datapath else None

    def barrier_replied(self, message: Any) -> None:
        if session := self._session(message.datapath):
            session.barrier_replied(message.xid)

    def multipart_replied(self, message: Any) -> None:
        if session := self._session(message.datapath):
            session.multipart_replied(message)

    def switch_refused(self, message: Any) -> None:
        switch = self._switch_of.get(message.datapath.id)
        name = switch.name if switch else message.datapath.id
        LOG.error("switch %s refused a message: type %d code %d xid %d", name, message.type, message.code, message.xid)
        self.clerk.noted("switch refused a message", switch=str(name), type=message.type, code=message.code)

    # --- ports ------------------------------------------------------------------------------------------------------

    def port_changed(self, datapath: Any, port: Any, deleted: bool) -> None:
        session = self._session(datapath)
        if session is not None and session.port_seen(port, deleted) and datapath.id in self.attached:
            self._port_event(session, port.port_no)

    def _port_event(self, session: Session, port: int) -> None:
        what = self.attached[session.datapath.id].get(port)
        if what is None:
            return
        is_down = port in session.down
        if what.terminator is not None:
            terminator_port = on.PortWentDown if is_down else on.PortCameUp
            self.decide(terminator_port(what.terminator.pair, what.terminator.side))
        if what.server is not None:
            server_port = on.ServerPortWentDown if is_down else on.ServerPortCameUp
            self.decide(server_port(*what.server))
        if what.trunk is not None:
            self._link_changed(what.trunk, is_down)

    def _link_changed(self, end: PortRef, is_down: bool) -> None:
        dead = self._dead_links | {end} if is_down else self._dead_links - {end}
        if dead != self._dead_links:
            self._dead_links = dead
            if not self._rerouting:
                self._rerouting = True
                hub.spawn_after(SETTLE_S, self._reroute)

    def _reroute(self) -> None:
        """Paths anew, switch by switch, with a pause for the others between two switches."""
        self._rerouting = False
        self._paths = paths = find_paths(self.configuration, self._dead_links)
        self.clerk.noted("rerouted", dead_links=sorted(str(end) for end in self._dead_links))
        for dpid, session in list(self.sessions.items()):
            old = session.paths
            if old is None or self._paths is not paths or self.sessions.get(dpid) is not session:
                continue
            view = self.views[dpid]
            before, after = (compile_routes(self.configuration, each, view) for each in (old, paths))
            changes = route_change(before, after)
            session.paths = paths
            if not changes.empty:
                session.apply(changes, Batch(None, time.time(), changes.flow_mods, self._applied))
            hub.sleep(0)

    # --- packets ----------------------------------------------------------------------------------------------------

    def packet_arrived(self, message: Any) -> None:
        """A punted packet. Whatever is wrong with it is counted; it never stops the controller."""
        session = self._session(message.datapath)
        readers: dict[Kind | None, Callable[[Session, Any], None]] = {
            Kind.PUNT_BOUNCE_COPY: self._bounce_copied,
            Kind.PUNT_BOUNCE: self._bounce_punted,
            Kind.DROP_REFUSED_BOUNCE: self._bounce_copied,
            Kind.PUNT_UNREACHABLE: self._unreachable,
            Kind.PUNT_NEIGHBOUR: self._neighbour_asked,
            Kind.PUNT_HOST: self._host_spoke,
        }
        read = readers.get(kind_of(message.cookie))
        if session is None or read is None or session.datapath.id not in self.views:
            self._reject("unexpected packet-in")
            return
        try:
            read(session, message)
        except (punted.MalformedPacket, punted.NotARequest) as error:
            self._reject(f"{type(error).__name__}: {error}")

    def _reject(self, reason: str) -> None:
        key = reason if reason in self.rejected or len(self.rejected) < 100 else "other"
        self.rejected[key] = self.rejected.get(key, 0) + 1

    def _terminator_at(self, session: Session, message: Any) -> Terminator:
        what = self.attached[session.datapath.id].get(message.match["in_port"])
        if what is None or what.terminator is None or what.terminator.side is not Side.ACTIVE:
            raise punted.NotARequest("it did not come from an active terminator's port")
        return what.terminator

    def _bounce_copied(self, session: Session, message: Any) -> None:
        self.decide(on.RequestBounced(self._terminator_at(session, message).pair))

    def _bounce_punted(self, session: Session, message: Any) -> None:
        pair = self._terminator_at(session, message).pair
        request = punted.read_request(punted.ip_packet(message.data))
        punted.check_request(self.configuration, pair, request)
        self.decide(on.RequestBounced(pair, request.packet))

    def _unreachable(self, session: Session, message: Any) -> None:
        terminator = self._terminator_at(session, message)
        request = punted.check_unreachable(self.configuration, terminator, message.data)
        packet = request.packet if request.whole else None
        self.decide(on.RequestBounced(terminator.pair, packet, on.BounceVia.ICMP))

    def _route_again(self, pair: PairId, request: bytes) -> None:
        """Send a request to the pair's spare terminator, from the switch that the active one is attached to."""
        active = self.configuration.terminator_of[pair, Side.ACTIVE]
        spare = self.configuration.terminator_of[pair, Side.SPARE]
        session = self.sessions.get(self.configuration.switches[active.port.switch].dpid)
        if session is not None:
            session.send(packetout.to_terminator(session.datapath, request, spare))

    def _neighbour_asked(self, session: Session, message: Any) -> None:
        session.send(packetout.neighbour_answer(session.datapath, message, self.configuration.service))

    def _host_spoke(self, session: Session, message: Any) -> None:
        for rule in packetout.known_host(self.configuration, self.views[session.datapath.id], message):
            session.send(openflow.add_rule(session.datapath, rule))


def _target(command: do.SteerPair | do.SteerServer) -> PairId | str:
    return command.pair if isinstance(command, do.SteerPair) else command.server


def attachments(configuration: Configuration, view: SwitchView) -> dict[int, Attached]:
    """Port number -> what is attached there, for one switch."""
    found = {port: Attached(terminator=terminator) for terminator, port in view.terminators}
    for server in configuration.server_pairs.values():
        for side, ref in server.ports.items():
            if ref.switch == view.switch.name:
                found[view.number(ref)] = Attached(server=(server.name, side))
    for link in configuration.links:
        for end in (link.a, link.b):
            if end.switch == view.switch.name:
                found[view.number(end)] = Attached(trunk=end)
    return found


def listen_as_configured(configuration: Configuration) -> dict[str, object]:
    """Ryu's options for the configuration's `controller` section.

    Ryu by itself listens on every address and on two ports, and notices a dead switch only when TCP does.
    """
    controller = configuration.controller
    return {
        "ofp_listen_host": controller.listen,
        "ofp_tcp_listen_port": controller.openflow_port,
        "wsapi_host": controller.listen,
        "wsapi_port": controller.api_port,
        "echo_request_interval": 5.0,
        "maximum_unreplied_echo_requests": 3,
    }
