"""`kirikae status`, `explain`, and the operator's orders, given to a running controller."""

from __future__ import annotations

import getpass
import time
from collections.abc import Callable
from typing import Annotated, Any

import typer

from kirikae.commands.controller import DEFAULT_API, Api, ask, segment
from kirikae.commands.reading import Json, print_json

Target = Annotated[str, typer.Argument(metavar="TARGET", help="A terminator pair (tokyo+1) or a server pair (tokyo).")]
Why = Annotated[str, typer.Option("--why", help="The reason, for the journal and for `explain`.")]
Who = Annotated[str, typer.Option("--who", help="Who asks, for the journal; you, unless stated.", show_default=False)]
Force = Annotated[bool, typer.Option("--force", help="Fail back although nobody called the active server ready.")]
COVERAGE = {
    "out": "OUT OF SERVICE",
    "alone": "served, its other side is dead",
    "doubtful": "served, its other side is in doubt",
    "protected": "both sides good",
}


def status(api: Api = DEFAULT_API, as_json: Json = False) -> None:
    """Show every server pair, the terminator pairs that differ from it, and the switches."""
    answer = ask(api, "GET", "/v1/status", as_json=as_json)
    if as_json:
        print_json(answer)
        return
    for unit in answer["servers"]:
        since = f" since {_clock(unit['since'])}" if unit["since"] else ""
        reason = f": {unit['reason']}" if unit["reason"] else ""
        indent = "  " if "+" in unit["target"] else ""
        typer.echo(f"{indent}{unit['target']}  {unit['state']}, {COVERAGE[unit['coverage']]}{since}{reason}")
    for name, switch in sorted(answer["switches"].items()):
        typer.echo(f"switch {name}  {'ready' if switch['ready'] else 'not ready'}")
    if not answer["switches"]:
        typer.echo("no switch is connected")


def explain(target: Target, api: Api = DEFAULT_API, as_json: Json = False) -> None:
    """Say why a pair is where it is, how its sides are, and what would move it."""
    answer = ask(api, "GET", f"/v1/pairs/{segment(target)}", as_json=as_json)
    if as_json:
        print_json(answer)
        return
    since = f" since {_clock(answer['since'])}" if answer["since"] else ""
    typer.echo(f"{answer['target']} is steered to its {answer['side']} side{since}: {answer['reason'] or 'configured'}")
    for side in ("active", "spare"):
        typer.echo(f"  {answer[side]['name']}: {_health(answer[side])}")
    for word in ("locked", "drained"):
        if answer[word]:
            typer.echo(f"  {word}: {answer[word]}")
    for move in answer["would_move"]:
        typer.echo(f"  would move it: {move}")


def order(action: str, text: str) -> Callable[..., None]:
    """A command that asks the controller for one action."""

    def give(target: Target, why: Why = "", who: Who = "", api: Api = DEFAULT_API, as_json: Json = False) -> None:
        _give(action, target, why, who, False, api, as_json)

    give.__name__, give.__doc__ = action, text
    return give


def failback(
    target: Target, why: Why = "", who: Who = "", force: Force = False, api: Api = DEFAULT_API, as_json: Json = False
) -> None:
    """Steer a pair, or a whole server pair, back to its active side."""
    _give("failback", target, why, who, force, api, as_json)


ORDERS = (
    order("takeover", "Steer a pair, or a whole server pair, to its spare side."),
    failback,
    order("lock", "Let nothing move a pair, or a whole server pair, until it is unlocked."),
    order("unlock", "End a lock."),
    order("drain", "Leave the active side for maintenance, and do not return by itself."),
    order("undrain", "End a drain; the pair returns by failback."),
)


def _give(action: str, target: str, why: str, who: str, force: bool, api: str, as_json: bool) -> None:
    wanted = {"action": action, "target": target, "who": who or getpass.getuser(), "why": why, "force": force}
    answer = ask(api, "POST", "/v1/actions", wanted, as_json)
    if as_json:
        print_json(answer)
        return
    said = [command["text"] for command in answer["commands"] if command["type"] == "Notify"]
    typer.echo("\n".join(said) if said else f"{target}: done")


def _clock(epoch_s: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(epoch_s))


def _health(side: dict[str, Any]) -> str:
    against = "; ".join(finding["why"] for finding in side["findings"])
    return f"{'dead' if side['dead'] else 'in doubt'}: {against}" if against else "good"
