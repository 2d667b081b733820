"""Run the benchmarks, all or those named, and print a table for each. Exits with 1 if a target is missed.

The function's log goes to /dev/null, in the measured processes and in this one.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from datetime import datetime, timezone
from pathlib import Path

from benchmarks import (
    calls,
    cold_start,
    keys,
    memory,
    redis_cost,
    round_trips,
    sending,
    sql_users,
    statistics,
    web,
    web_logins,
)
from benchmarks.cloud import open_cloud
from benchmarks.tables import Table

BENCHMARKS = {
    "cold": cold_start.measure,
    "calls": calls.measure,
    "trips": round_trips.measure,
    "sending": sending.measure,
    "memory": memory.measure,
    "redis": redis_cost.measure,
    "keys": keys.measure,
    "statistics": statistics.measure,
    "sql": sql_users.measure,
    "web": web.measure,
    "logins": web_logins.measure,
}

PAGE = Path(__file__).parents[1] / "docs" / "performance.md"
HEAD = """\
# Performance

What `make bench ARGS=--write` has measured, on {cores} cores of a virtual machine with CPython {python} (what is
deployed: 3.10), last on {day}. Each figure stands beside another of the same run: a floor, which is what anybody would
pay who used the same libraries, and sometimes another commit (`--beside DIR`, a checkout) or the demo that Tencent
publishes for this task (`--demo DIR`: tencentyun/scf-demo-repo, Nodejs8.9-SmsVerificationCode; it needs node). Ratios
travel from machine to machine, milliseconds do not. `make bench` does it all again on yours, and says which target is
missed; `make attack` and `make soak` are apart: [security.md](security.md) has the one, the other only passes or fails.

"""


def main(args: list[str]) -> int:
    """Print a table for each benchmark, and return the exit code."""
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", choices=[[], *BENCHMARKS], metavar="NAME", help=", ".join(BENCHMARKS))
    parser.add_argument("--write", action="store_true", help="write docs/performance.md, or the named sections")
    parser.add_argument("--beside", type=Path, metavar="DIR", help="measure a checkout of another commit beside")
    parser.add_argument("--demo", type=Path, metavar="DIR", help="measure Tencent's demo beside (needs node)")
    options = parser.parse_args(args)
    tables = []
    for name in options.names or BENCHMARKS:
        # A cloud for each: none meets the data of another.
        cloud_of = open_cloud(options.beside, options.demo)
        with Path(os.devnull).open("w") as sink, redirect_stdout(sink), cloud_of as cloud:
            table = BENCHMARKS[name](cloud)
        print(table, flush=True)
        tables.append(table)
    if options.write:
        _write(tables, keep=bool(options.names))
    missed = sum(table.missed for table in tables)
    print(f"{missed} target(s) missed" if missed else "all targets met")
    return 1 if missed else 0


def _write(tables: Sequence[Table], *, keep: bool) -> None:
    """Write the page; `keep` keeps the sections of other benchmarks."""
    sections = PAGE.read_text(encoding="utf-8").split("\n## ")[1:] if keep else []
    by_title = {section.partition("\n")[0]: f"## {section.rstrip()}\n" for section in sections}
    by_title |= {table.title: table.markdown() for table in tables}
    day, python = datetime.now(timezone.utc).date(), ".".join(map(str, sys.version_info[:2]))
    head = HEAD.format(cores=os.cpu_count(), python=python, day=day)
    PAGE.write_text(head + "\n".join(by_title.values()), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
