"""HTTP for programs and operators, under /v1. Small: what is asked is answered from memory."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Collection
from typing import Any

from ryu.app.wsgi import ControllerBase, Response, route
from ryu.lib import hub

from kirikae.decision import commands as do
from kirikae.decision import events as on
from kirikae.decision.codec import encode, encode_tagged
from kirikae.decision.machine import UnknownTarget
from kirikae.identity import PairId, Side
from kirikae.pipeline.rules import Kind

LOG = logging.getLogger("kirikae.northbound")
ANSWER_S = 2.0
"""How long to wait for switches' counters, and for the disk."""
BODY_LIMIT = 65536
TEXT_LIMIT = 1000
"""Octets of a body, characters of a text in it: what is said goes into the state and the journal."""


class BadRequest(Exception):
    """The request cannot be understood; the text says what was expected."""

    status = 400


class NotFound(BadRequest):
    """It is about something that the configuration does not have."""

    status = 404


class TooLarge(BadRequest):
    status = 413


def answer(status: int, body: Any) -> Response:
    return Response(status=status, content_type="application/json", charset="UTF-8", body=json.dumps(body))


def understood(act: Callable[..., Response]) -> Callable[..., Response]:
    """A handler whose BadRequest becomes an answer."""

    def handler(self: Northbound, req: Any, **path: str) -> Response:
        try:
            return act(self, req, **path)
        except BadRequest as error:
            return answer(error.status, {"error": str(error)})

    handler.__doc__ = act.__doc__
    return handler


class Northbound(ControllerBase):
    """`GET /v1/ready|status|drops|pairs/{pair}`, `POST /v1/actions`, `POST /v1/servers/{server}/{side}/{verdict}`."""

    def __init__(self, req: Any, link: Any, data: dict, **config: Any) -> None:
        super().__init__(req, link, data, **config)
        self.device = data["device"]

    @route("v1", "/v1/ready", methods=["GET"])
    def ready(self, req: Any, **_: Any) -> Response:
        switches = {s.switch.name: s.ready for s in self.device.sessions.values()}
        return answer(200 if self.device.ready else 503, {"ready": self.device.ready, "switches": switches})

    @route("v1", "/v1/status", methods=["GET"])
    def status(self, req: Any, **_: Any) -> Response:
        sessions = self.device.sessions.values()
        switches = {
            s.switch.name: {"ready": s.ready, "flow_mods_sent": s.flow_mods_sent, "refused_messages": s.refused}
            for s in sessions
        }
        units = [encode(line) | {"coverage": line.coverage.name.lower()} for line in self.device.machine.status()]
        return answer(200, {"servers": units, "switches": switches, "rejected_packets": self.device.punts.rejected})

    @route("v1", "/v1/pairs/{pair}", methods=["GET"])
    @understood
    def explain(self, req: Any, pair: str, **_: Any) -> Response:
        """Why a terminator pair, or a server pair as a whole, is where it is."""
        try:
            return answer(200, encode(self.device.machine.explain(read_target(pair))))
        except UnknownTarget as error:
            raise NotFound(str(error)) from None

    @route("v1", "/v1/drops", methods=["GET"])
    def drops(self, req: Any, **_: Any) -> Response:
        """Dropped packets by switch and reason, as counted by the switches."""
        return answer(200, self._drops())

    @route("v1", "/v1/actions", methods=["POST"])
    @understood
    def act(self, req: Any, **_: Any) -> Response:
        """Body: {"action", "target", "who", "why", "force"}. 409 when the state machine refuses."""
        asked = read_body(req, {"action", "target", "who", "why", "force"})
        event = on.OperatorAsked(
            _action(asked.get("action")),
            self._known(read_target(asked.get("target"))),
            _text(asked, "who") or "api",
            _text(asked, "why"),
            _flag(asked, "force"),
        )
        commands = self.device.decide(event)
        refused = [command for command in commands if isinstance(command, do.Refuse)]
        if refused:
            return answer(409, {"error": refused[0].reason})
        return self._done(commands)

    @route("v1", "/v1/servers/{server}/{side}/{verdict}", methods=["POST"])
    @understood
    def verdict(self, req: Any, server: str, side: str, verdict: str, **_: Any) -> Response:
        """`failed` or `ready`, said by someone with the right to (the manager). Body: {"by"}, or none."""
        event = {"failed": on.ServerFailed, "ready": on.ServerReady}.get(verdict)
        if event is None or side not in ("active", "spare"):
            raise BadRequest("write /v1/servers/NAME/active|spare/failed|ready")
        if server not in self.device.configuration.server_pairs:
            raise NotFound(f"there is no server pair {server}")
        by = _text(read_body(req, {"by"}), "by") or "api"
        return self._done(self.device.decide(event(server, Side(side), by)))

    def _done(self, commands: list[do.Command]) -> Response:
        """The answer to an order: given once it is stored, so that it holds for the controller after this one, too."""
        if not self.device.clerk.wait_written(ANSWER_S):
            LOG.warning("an order was answered before it was stored: the disk is slow")
        return answer(200, {"commands": [encode_tagged(command) for command in commands]})

    # --- helpers ----------------------------------------------------------------------------------------------------

    def _known(self, target: PairId | str) -> PairId | str:
        try:
            self.device.machine.state_of(target)
        except UnknownTarget as error:
            raise NotFound(str(error)) from None
        return target

    def _drops(self) -> dict[str, dict[str, int]]:
        kinds = [kind for kind in Kind if kind.drop_reason]
        ready = [session for session in self.device.sessions.values() if session.ready]
        found: dict[str, dict[str, int]] = {session.switch.name: {} for session in ready}
        arrived = hub.Queue()
        for session in ready:
            for kind in kinds:
                where = (session.switch.name, kind.drop_reason)
                session.count(kind, lambda packets, where=where: arrived.put((*where, packets)))
        try:
            for _ in range(len(ready) * len(kinds)):
                switch, reason, packets = arrived.get(timeout=ANSWER_S)
                found[switch][reason] = packets
        except hub.QueueEmpty:
            pass  # a switch that does not answer is missing from the answer
        return found


# --- reading -------------------------------------------------------------------------------------------------------


def read_body(req: Any, known: Collection[str]) -> dict[str, Any]:
    """The JSON object of a request's body, {} without one. Raises BadRequest."""
    if (req.content_length or 0) > BODY_LIMIT:
        raise TooLarge(f"the body is longer than {BODY_LIMIT} octets")
    try:
        body = json.loads(req.body or b"{}")
    except (ValueError, RecursionError) as error:
        raise BadRequest(f"the body is not JSON: {error}") from None
    if not isinstance(body, dict):
        raise BadRequest("the body is not a JSON object")
    unknown = body.keys() - known
    if unknown:
        raise BadRequest(f"unknown: {', '.join(sorted(map(repr, unknown)))}; known: {', '.join(sorted(known))}")
    return body


def read_target(text: object) -> PairId | str:
    if not isinstance(text, str) or not text:
        raise BadRequest("target: write a pair (tokyo+1) or a server pair (tokyo)")
    try:
        return PairId.parse(text) if "+" in text else text
    except ValueError as error:
        raise BadRequest(f"target: {error}") from None


def _action(text: object) -> on.Action:
    try:
        return on.Action(text)
    except ValueError:
        raise BadRequest(f"action: one of {', '.join(action.value for action in on.Action)}") from None


def _text(body: dict[str, Any], name: str) -> str:
    text = body.get(name, "")
    if not isinstance(text, str) or len(text) > TEXT_LIMIT or not text.isprintable():
        raise BadRequest(f"{name}: a printable text of at most {TEXT_LIMIT} characters")
    return text


def _flag(body: dict[str, Any], name: str) -> bool:
    value = body.get(name, False)
    if not isinstance(value, bool):
        raise BadRequest(f"{name}: true or false")
    return value
