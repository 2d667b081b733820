"""Run the benchmarks, all or those named: `python -m benchmarks [cold] [warm] [trips] [memory] [keys] [sql] [web]`.

Exits with 1 if a target is missed. What the function logs goes to /dev/null, in the measured processes and in this one.
"""

import os
import sys
from contextlib import redirect_stdout
from pathlib import Path

from benchmarks import cold_start, keys, memory, round_trips, sql_users, warm, web
from benchmarks.cloud import open_cloud

BENCHMARKS = {
    "cold": cold_start.measure,
    "warm": warm.measure,
    "trips": round_trips.measure,
    "memory": memory.measure,
    "keys": keys.measure,
    "sql": sql_users.measure,
    "web": web.measure,
}


def main(names: list[str]) -> int:
    """Print a table for each benchmark, and return the exit code."""
    if unknown := set(names) - set(BENCHMARKS):
        print(f"unknown: {', '.join(sorted(unknown))}; there are {', '.join(BENCHMARKS)}", file=sys.stderr)
        return 2
    missed = 0
    for name in names or BENCHMARKS:
        # A cloud for each, so that none runs into what another left there.
        with Path(os.devnull).open("w") as sink, redirect_stdout(sink), open_cloud() as cloud:
            table = BENCHMARKS[name](cloud)
        print(table, flush=True)
        missed += table.missed
    print(f"{missed} target(s) missed" if missed else "all targets met")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
