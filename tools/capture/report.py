"""Verdicts and how they are shown: text for people, JSON for programs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

HOLDS = "holds"
VIOLATED = "violated"
NOT_TESTED = "not-tested"

KEPT = 20
"""Pieces of evidence kept per claim and kind; the totals stay exact."""


@dataclass(frozen=True)
class Evidence:
    """One packet, or one line of a file, that proves something."""

    file: str
    """Relative to the run directory."""
    frame: int
    """Frame number in that capture as Wireshark counts (from 1); 0 when the file is no capture."""
    time_ns: int
    """Nanoseconds since the epoch; 0 when unknown."""
    src: str
    dst: str
    what: str

    def __str__(self) -> str:
        place = f"{self.file} #{self.frame}" if self.frame else self.file
        when = f" {clock(self.time_ns)}" if self.time_ns else ""
        flow = f" {self.src} > {self.dst}" if self.src or self.dst else ""
        return f"{place}{when}{flow}: {self.what}"

    def as_json(self) -> dict[str, Any]:
        """`time` is epoch seconds as a decimal string, because a float loses nanoseconds."""
        seconds, nanoseconds = divmod(self.time_ns, 1_000_000_000)
        return {
            "file": self.file,
            "frame": self.frame,
            "time": f"{seconds}.{nanoseconds:09d}",
            "src": self.src,
            "dst": self.dst,
            "what": self.what,
        }


@dataclass
class Verdict:
    """What the packets say about one claim."""

    claim: str
    """Stable identifier."""
    checked: int = 0
    """How many packets, requests or bounces (as `unit` says) were looked at."""
    unit: str = "requests"
    proof: list[Evidence] = field(default_factory=list)
    violations: list[Evidence] = field(default_factory=list)
    violations_total: int = 0
    notes: list[str] = field(default_factory=list)

    @property
    def verdict(self) -> str:
        """`violated`, `not-tested` (nothing to check in this run) or `holds`."""
        if self.violations_total:
            return VIOLATED
        return HOLDS if self.checked else NOT_TESTED

    def prove(self, *evidence: Evidence) -> None:
        """Keep evidence that shows the claim at work."""
        if len(self.proof) < KEPT:
            self.proof.extend(evidence)

    def violate(self, *evidence: Evidence) -> None:
        """Count one violation, shown by one or more packets."""
        self.violations_total += 1
        if len(self.violations) < KEPT:
            self.violations.extend(evidence)

    def as_json(self) -> dict[str, Any]:
        return {
            "claim": self.claim,
            "verdict": self.verdict,
            "checked": self.checked,
            "unit": self.unit,
            "proof": [e.as_json() for e in self.proof],
            "violations": [e.as_json() for e in self.violations],
            "violations_total": self.violations_total,
            "notes": self.notes,
        }


@dataclass
class Verdicts:
    """All claims of one run."""

    directory: str
    claims: list[Verdict]
    dissector: str
    captures: int
    packets: int
    """Frames that were dissected."""
    seconds: float
    """How long the verification took."""
    warnings: list[str] = field(default_factory=list)

    @property
    def violated(self) -> bool:
        return any(c.verdict == VIOLATED for c in self.claims)

    def summary(self) -> dict[str, str]:
        """Claim → verdict."""
        return {c.claim: c.verdict for c in self.claims}

    def as_json(self) -> dict[str, Any]:
        return {
            "directory": self.directory,
            "dissector": self.dissector,
            "captures": self.captures,
            "packets": self.packets,
            "seconds": round(self.seconds, 3),
            "warnings": self.warnings,
            "claims": [c.as_json() for c in self.claims],
        }


def clock(time_ns: int) -> str:
    """Time of day in UTC with microseconds."""
    moment = datetime.fromtimestamp(time_ns // 1_000_000_000, tz=timezone.utc)
    return f"{moment:%H:%M:%S}.{time_ns // 1000 % 1_000_000:06d}"


def as_text(verdicts: Verdicts, statements: dict[str, str], proofs: int = 3) -> str:
    """The verdicts for a reader; `statements` says each claim in words, `proofs` is how many packets to show."""
    lines = [
        f"{verdicts.directory}: {verdicts.captures} captures, {verdicts.packets} packets, {verdicts.dissector}, "
        f"{verdicts.seconds:.1f} s (times are UTC)",
        *(f"warning: {warning}" for warning in verdicts.warnings),
    ]
    for verdict in verdicts.claims:
        lines += ["", *_claim_lines(verdict, statements[verdict.claim], proofs)]
    counts = [f"{n} {word}" for word in (HOLDS, VIOLATED, NOT_TESTED) if (n := _count(verdicts.claims, word))]
    return "\n".join([*lines, "", "claims: " + ", ".join(counts)])


def _count(claims: Iterable[Verdict], word: str) -> int:
    return sum(c.verdict == word for c in claims)


def _claim_lines(verdict: Verdict, statement: str, proofs: int) -> list[str]:
    word = verdict.verdict.upper() if verdict.verdict == VIOLATED else verdict.verdict
    lines = [f"{word:<10}  {verdict.claim} ({verdict.checked} {verdict.unit})", f"            {statement}"]
    lines += [f"    note    {note}" for note in verdict.notes]
    lines += [f"    proof   {evidence}" for evidence in verdict.proof[:proofs]]
    if verdict.violations_total:
        lines.append(f"    violations: {verdict.violations_total}, the first:")
    lines += [f"    against {evidence}" for evidence in verdict.violations[: max(proofs, 5)]]
    return lines
