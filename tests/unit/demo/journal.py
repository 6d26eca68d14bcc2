"""Lines of a journal and of faults.jsonl, as a run of Figure 1 leaves them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

PAIRS = ("tokyo+1", "tokyo+2", "tokyo+3")
T = 1_795_396_549.0
"""When everything begins, seconds since the epoch."""


def decision(number: int, at: float, event: Mapping[str, Any], *commands: Mapping[str, Any]) -> dict[str, Any]:
    return {"id": number, "time": T + at, "event": dict(event), "commands": [dict(command) for command in commands]}


def bounced(k: int) -> dict[str, Any]:
    return {"type": "RequestBounced", "pair": f"tokyo+{k}", "request": None, "via": "bounce"}


def port_down(k: int) -> dict[str, Any]:
    return {"type": "PortWentDown", "pair": f"tokyo+{k}", "side": "active"}


def asked(action: str, target: str) -> dict[str, Any]:
    return {"type": "OperatorAsked", "action": action, "target": target, "who": "aiko", "why": "", "force": False}


def steer(target: str, side: str, because: str) -> dict[str, Any]:
    if "+" in target:
        return {"type": "SteerPair", "pair": target, "side": side, "because": because}
    return {"type": "SteerServer", "server": target, "side": side, "because": because}


def notify(text: str) -> dict[str, Any]:
    return {"type": "Notify", "severity": "info", "about": "tokyo", "text": text}


def applied(decided: int, at: float, switch: str, barrier_ms: float | None, flow_mods: int = 1) -> dict[str, Any]:
    said = {"switch": switch, "decision": decided, "flow_mods": flow_mods, "barrier_ms": barrier_ms}
    return {"id": 1000 + decided, "time": T + at, "applied": said}


def fault(at: float, name: str, target: str) -> dict[str, Any]:
    return {"time": T + at, "fault": name, "target": target}


def report(user: str, *answers: tuple[float, float | None, str | None]) -> dict[str, Any]:
    """Of a user: requests as (sent, answered or None, side that answered), seconds."""
    rows = [
        [seq, round((T + sent) * 1e9), None if at is None else round((T + at) * 1e9), "10.0.0.10", 1, side]
        for seq, (sent, at, side) in enumerate(answers, start=1)
    ]
    answered = sum(1 for row in rows if row[2] is not None)
    return {"user": user, "sent": len(rows), "answered": answered, "requests": rows}
