"""The commands that talk to a controller, against a controller that is two dictionaries."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from typer.testing import CliRunner

from kirikae.cli import app
from kirikae.decision import events as on
from kirikae.decision.codec import encode
from kirikae.decision.machine import AccessControl
from tests.unit.networks import TOKYO_1, figure1


class Controller(BaseHTTPRequestHandler):
    """Answers as ryu_apps.northbound does, with a real state machine behind it."""

    machine: AccessControl
    asked: list[dict]
    refuse = ""
    api = ""

    def do_GET(self):
        if self.path == "/v1/status":
            units = [encode(unit) | {"coverage": unit.coverage.name.lower()} for unit in self.machine.status()]
            self.answer(200, {"servers": units, "switches": {"s1": {"ready": True}, "s2": {"ready": False}}})
        elif self.path == "/v1/pairs/tokyo+1":
            self.answer(200, encode(self.machine.explain(TOKYO_1)))
        else:
            self.answer(404, {"error": f"there is nothing at {self.path}"})

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.asked.append({"path": self.path, **body})
        if self.refuse:
            self.answer(409, {"error": self.refuse})
        else:
            self.answer(200, {"commands": [{"type": "Notify", "text": f"{body['target']} is on spare"}]})

    def answer(self, status, body):
        self.send_response(status)
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())

    def log_message(self, *_):
        pass


@pytest.fixture
def controller():
    """A running controller: its class, with `api` to reach it."""

    class Running(Controller):
        machine = AccessControl(figure1())
        asked: list[dict] = []  # noqa: RUF012

    server = HTTPServer(("127.0.0.1", 0), Running)
    Running.api = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield Running
    server.shutdown()
    thread.join()
    server.server_close()


def run(controller, *words):
    return CliRunner().invoke(app, [*words, "--api", controller.api])


def test_status_of_a_quiet_network(controller):
    done = run(controller, "status")
    assert done.stdout.splitlines() == [
        "tokyo  on active, both sides good",
        "switch s1  ready",
        "switch s2  not ready",
    ]


def test_status_and_explain_after_a_takeover(controller):
    controller.machine.decide(on.RequestBounced(TOKYO_1), 1_000_000_000.0)
    lines = run(controller, "status").stdout.splitlines()
    assert lines[1].startswith("  tokyo+1  on spare, served, its other side is dead since 2001-")
    assert lines[1].endswith(": terminator 10.0.0.11 could not reach 10.0.0.10")
    explained = run(controller, "explain", "tokyo+1").stdout.splitlines()
    assert explained[0].startswith("tokyo+1 is steered to its spare side since 2001-")
    assert explained[1] == "  terminator 10.0.0.11: dead: terminator 10.0.0.11 could not reach 10.0.0.10"
    assert explained[2] == "  spare terminator 10.0.0.21: good"
    assert any(line.startswith("  would move it: ") for line in explained)


def test_json_is_the_api_s_answer(controller):
    assert json.loads(run(controller, "explain", "tokyo+1", "--json").stdout)["target"] == "tokyo+1"


def test_orders_carry_who_and_why(controller):
    done = run(controller, "takeover", "tokyo+1", "--who", "aiko", "--why", "maintenance")
    assert (done.exit_code, done.stdout) == (0, "tokyo+1 is on spare\n")
    run(controller, "failback", "tokyo", "--who", "aiko", "--force")
    assert controller.asked == [
        {
            "path": "/v1/actions",
            "action": "takeover",
            "target": "tokyo+1",
            "who": "aiko",
            "why": "maintenance",
            "force": False,
        },
        {"path": "/v1/actions", "action": "failback", "target": "tokyo", "who": "aiko", "why": "", "force": True},
    ]


@pytest.mark.parametrize("action", [action.value for action in on.Action])
def test_every_action_of_the_state_machine_is_a_command(controller, action):
    assert run(controller, action, "tokyo", "--who", "aiko").exit_code == 0
    assert controller.asked[0]["action"] == action


def test_a_refusal_is_told_and_is_an_exit_code(controller):
    controller.refuse = "tokyo+1 is locked"
    done = run(controller, "failback", "tokyo+1")
    assert (done.exit_code, done.stderr) == (4, "tokyo+1 is locked\n")


def test_what_is_not_there(controller):
    done = run(controller, "explain", "kyoto")
    assert (done.exit_code, done.stderr) == (4, "there is nothing at /v1/pairs/kyoto\n")


@pytest.mark.parametrize("api", ["http://127.0.0.1:1", "nonsense", "https://127.0.0.1"])
def test_no_controller_there(api):
    done = CliRunner().invoke(app, ["status", "--api", api])
    assert done.exit_code == 3
    assert "controller answers" in done.stderr or "is not an address of an API" in done.stderr
