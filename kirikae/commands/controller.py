"""Talking to a running controller over its HTTP API."""

from __future__ import annotations

import http.client
import json
from typing import Annotated, Any, NoReturn
from urllib.parse import quote, urlsplit

import typer

from kirikae.commands.reading import print_json

UNREACHABLE, REFUSED = 3, 4
"""Exit codes: no controller answers there; the controller answered that it does not do it."""
ANSWER_S = 10.0

Api = Annotated[
    str,
    typer.Option("--api", envvar="KIRIKAE_API", help="Where the controller's HTTP API is.", metavar="URL"),
]
DEFAULT_API = "http://127.0.0.1:8080"


def ask(api: str, method: str, path: str, body: dict[str, Any] | None = None, as_json: bool = False) -> Any:
    """The controller's answer, as JSON; or what is wrong on standard error, and the end with UNREACHABLE or REFUSED."""
    status, answer = _exchange(api, method, path, body)
    if status == 200:
        return answer
    error = answer.get("error") if isinstance(answer, dict) else None
    if as_json:
        print_json({"error": error or f"status {status}", "status": status})
    else:
        typer.echo(error or f"the controller answered with status {status}", err=True)
    raise typer.Exit(REFUSED)


def segment(text: str) -> str:
    """A target as one segment of a path."""
    return quote(text, safe="+")


def _exchange(api: str, method: str, path: str, body: dict[str, Any] | None) -> tuple[int, Any]:
    place = urlsplit(api)
    if place.scheme != "http" or not place.hostname:
        _unreachable(f"{api!r} is not an address of an API; write http://HOST:PORT")
    try:
        connection = http.client.HTTPConnection(place.hostname, place.port or 80, timeout=ANSWER_S)
        connection.request(method, path, None if body is None else json.dumps(body))
        response = connection.getresponse()
        return response.status, json.loads(response.read() or b"null")
    except (OSError, http.client.HTTPException) as error:
        _unreachable(f"no controller answers at {api}: {error}. Is ryu-manager running? Say where with --api")
    except ValueError:
        _unreachable(f"what answers at {api} is no Kirikae controller. Say where it is with --api")


def _unreachable(text: str) -> NoReturn:
    typer.echo(text, err=True)
    raise typer.Exit(UNREACHABLE)
