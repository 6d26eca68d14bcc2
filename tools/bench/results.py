"""The results as tables: on the screen, and as Markdown for docs/benchmarks.md.

python -m tools.bench.results               the Markdown table of out/bench.json
python -m tools.bench.results FILE
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from rich.table import Table

from tools.bench.rows import OURS, NotResults, Row, read_rows
from tools.bench.targets import verdict

RESULTS = Path("out/bench.json")
COLUMNS = ("scenario", "system", "metric", "median", "p99", "min", "max", "unit", "runs", "lost", "ratio", "target")
_NUMBERS = {"median", "p99", "min", "max", "runs", "lost"}


def cells(row: Row) -> list[str]:
    """One cell per column."""
    ratio = "" if row.ratio is None else f"{row.ratio:g} x {row.reference}"
    lost = "" if row.lost is None else str(row.lost)
    numbers = [_number(value) for value in (row.median, row.p99, row.min, row.max)]
    return [row.scenario, row.system, row.metric, *numbers, row.unit, str(row.runs), lost, ratio, verdict(row)]


def screen_table(rows: Iterable[Row]) -> Table:
    """The same, narrower: no system where it is ours, and the unit is in the metric's name anyway."""
    table = Table(show_edge=False, pad_edge=False)
    for name in COLUMNS:
        if name not in ("system", "unit"):
            table.add_column(name, justify="right" if name in _NUMBERS else "left")
    for row in rows:
        scenario, system, *rest, _unit, runs, lost, ratio, target = cells(row)
        name = scenario if system == OURS else f"{scenario} ({system})"
        style = "red" if ": no" in target else "green" if ": yes" in target else None
        table.add_row(name, *rest, runs, lost, ratio, target, style=style)
    return table


def markdown(rows: Iterable[Row]) -> Iterator[str]:
    """Lines."""
    yield "| " + " | ".join(COLUMNS) + " |"
    yield "|" + "|".join("---:" if name in _NUMBERS else "---" for name in COLUMNS) + "|"
    for row in rows:
        yield "| " + " | ".join(cells(row)) + " |"


def _number(value: float) -> str:
    return f"{value:.4g}" if abs(value) < 1000 else f"{value:.0f}"


def main() -> int:
    file = Path(sys.argv[1]) if len(sys.argv) > 1 else RESULTS
    try:
        rows = read_rows(file)
    except FileNotFoundError:
        print(f"{file} is not there: `make bench` writes it", file=sys.stderr)
        return 1
    except NotResults as error:
        print(error, file=sys.stderr)
        return 1
    print("\n".join(markdown(rows)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
