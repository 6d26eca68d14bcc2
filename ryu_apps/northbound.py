"""HTTP for programs and operators, under /v1. Small: what is asked is answered from memory."""

from __future__ import annotations

import dataclasses
import enum
import json
from collections.abc import Callable
from typing import Any

from ryu.app.wsgi import ControllerBase, Response, route
from ryu.lib import hub

from kirikae.decision import commands as do
from kirikae.decision import events as on
from kirikae.identity import PairId, Side
from kirikae.pipeline.rules import Kind

ANSWER_S = 2.0
"""How long to wait for switches' counters."""


class BadRequest(Exception):
    """The request cannot be understood; the text says what was expected."""


def plain(value: object) -> Any:
    """A value as JSON can hold it: pairs as server+k, enumerations as their value, dataclasses as mappings."""
    if isinstance(value, PairId):
        return str(value)
    if isinstance(value, enum.Enum):
        return value.value
    if dataclasses.is_dataclass(value):
        return {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, dict):
        return {str(plain(key)): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in value]
    return value


def answer(status: int, body: Any) -> Response:
    return Response(status=status, content_type="application/json", charset="UTF-8", body=json.dumps(plain(body)))


def read_target(text: object) -> PairId | str:
    if not isinstance(text, str) or not text:
        raise BadRequest("target: write a pair (tokyo+1) or a server pair (tokyo)")
    try:
        return PairId.parse(text) if "+" in text else text
    except ValueError as error:
        raise BadRequest(f"target: {error}") from None


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
        switches = {s.switch.name: {"ready": s.ready, "flow_mods_sent": s.flow_mods_sent} for s in sessions}
        status = self.device.machine.status()
        return answer(200, {"servers": status, "switches": switches, "rejected_packets": self.device.rejected})

    @route("v1", "/v1/pairs/{pair}", methods=["GET"])
    def explain(self, req: Any, pair: str, **_: Any) -> Response:
        def explained() -> Response:
            target = read_target(pair)
            if target not in set(self.device.configuration.pairs):
                return answer(404, {"error": f"there is no terminator pair {pair}"})
            return answer(200, self.device.machine.explain(target))

        return self._understood(explained)

    @route("v1", "/v1/drops", methods=["GET"])
    def drops(self, req: Any, **_: Any) -> Response:
        return answer(200, self._drops())

    @route("v1", "/v1/actions", methods=["POST"])
    def act(self, req: Any, **_: Any) -> Response:
        """Body: {"action", "target", "who", "why", "force"}."""

        def acted() -> Response:
            asked = self._body(req)
            try:
                action = on.Action(asked.get("action"))
            except ValueError:
                raise BadRequest(f"action: one of {', '.join(a.value for a in on.Action)}") from None
            target, who, why = read_target(asked.get("target")), str(asked.get("who", "")), str(asked.get("why", ""))
            event = on.OperatorAsked(action, target, who or "api", why, asked.get("force") is True)
            commands = self.device.decide(event)
            refused = [command for command in commands if isinstance(command, do.Refuse)]
            return answer(409, {"error": refused[0].reason}) if refused else answer(200, {"commands": named(commands)})

        return self._understood(acted)

    @route("v1", "/v1/servers/{server}/{side}/{verdict}", methods=["POST"])
    def verdict(self, req: Any, server: str, side: str, verdict: str, **_: Any) -> Response:
        """`failed` or `ready`, said by someone with the right to (the manager)."""

        def said() -> Response:
            event = {"failed": on.ServerFailed, "ready": on.ServerReady}.get(verdict)
            if event is None or side not in ("active", "spare"):
                raise BadRequest("write /v1/servers/NAME/active|spare/failed|ready")
            if server not in self.device.configuration.server_pairs:
                return answer(404, {"error": f"there is no server pair {server}"})
            by = str(self._body(req).get("by") or "api")
            return answer(200, {"commands": named(self.device.decide(event(server, Side(side), by)))})

        return self._understood(said)

    # --- helpers ----------------------------------------------------------------------------------------------------

    def _understood(self, act: Callable[[], Response]) -> Response:
        try:
            return act()
        except BadRequest as error:
            return answer(400, {"error": str(error)})

    def _body(self, req: Any) -> dict:
        try:
            body = json.loads(req.body or b"{}")
        except ValueError as error:
            raise BadRequest(f"the body is not JSON: {error}") from None
        if not isinstance(body, dict):
            raise BadRequest("the body is not a JSON object")
        return body

    def _drops(self) -> dict[str, dict[str, int]]:
        """Dropped packets by switch and reason, as counted by the switches."""
        kinds = [kind for kind in Kind if kind.drop_reason]
        found: dict[str, dict[str, int]] = {s.switch.name: {} for s in self.device.sessions.values() if s.ready}
        arrived = hub.Queue()
        expected = 0
        for session in self.device.sessions.values():
            if session.ready:
                for kind in kinds:
                    where = (session.switch.name, kind.drop_reason)
                    session.count(kind, lambda packets, where=where: arrived.put((*where, packets)))
                    expected += 1
        try:
            for _ in range(expected):
                switch, reason, packets = arrived.get(timeout=ANSWER_S)
                found[switch][reason] = packets
        except hub.QueueEmpty:
            pass  # a switch that does not answer is missing from the answer
        return found


def named(commands: list) -> list[dict]:
    return [{"type": type(command).__name__, **plain(command)} for command in commands]
