"""`kirikae check FILE`: is this configuration correct, and if not, what is to be mended?"""

from __future__ import annotations

import typer

from kirikae.commands.reading import File, Json, load_or_exit, print_json
from kirikae.configuration.model import Configuration


def check(file: File, as_json: Json = False) -> None:
    """Check a configuration file: exit 0, or 2 with every error, its place and its mend."""
    configuration = load_or_exit(file, as_json)
    if as_json:
        print_json({"file": str(file), "correct": True, "problems": [], "summary": summary(configuration)})
        return
    counts = ", ".join(_count(number, what) for what, number in summary(configuration).items())
    typer.echo(f"{file}: correct ({counts})")


def summary(configuration: Configuration) -> dict[str, int]:
    """How many of everything there is."""
    return {
        "server_pairs": len(configuration.server_pairs),
        "terminator_pairs": len(configuration.pairs),
        "user_prefixes": len(configuration.users),
        "switches": len(configuration.switches),
        "links": len(configuration.links),
    }


def _count(number: int, plural: str) -> str:
    words = plural.replace("_", " ")
    if number == 1:
        words = words.removesuffix("es") if words.endswith("xes") or words.endswith("ches") else words.removesuffix("s")
    return f"{number} {words}"
