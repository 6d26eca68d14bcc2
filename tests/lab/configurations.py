"""Configurations of the tests: Figure 1 with something changed, or a file of this directory."""

from __future__ import annotations

from pathlib import Path

HERE = Path(__file__).resolve().parent
EXAMPLES = HERE.parents[1] / "examples"
FIGURE1 = EXAMPLES / "figure1.yaml"
FIGURE1_OF = {4: FIGURE1, 6: EXAMPLES / "figure1-ipv6.yaml"}
"""By IP version."""


def figure1(directory: Path, *changes: tuple[str, str], policy: str = "", version: int = 4) -> Path:
    """Figure 1 with each first text replaced by the second, and lines added to its policy; the file's path."""
    example = FIGURE1_OF[version]
    text = example.read_text()
    for old, new in changes:
        if old not in text:
            raise ValueError(f"{example} has no {old!r}")
        text = text.replace(old, new)
    path = directory / "changed-figure1.yaml"
    path.write_text(text.rstrip() + "\n" + "".join(f"  {line}\n" for line in policy.splitlines()))
    return path


def plain(*switches: str) -> list[tuple[str, str]]:
    """The changes that take these switches of Figure 1 their Nicira extensions."""
    return [
        (f"{name}: {{dpid: {name[1:]}", f"{name}: {{nicira_extensions: false, dpid: {name[1:]}") for name in switches
    ]
