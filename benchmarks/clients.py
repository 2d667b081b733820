"""HTTP clients: `python -m benchmarks.clients PORT CLIENTS COUNT < requests`, a JSON list that is sent in a cycle.

It is a separate process, so that the measured one does not wait for its interpreter lock. Prints JSON: `seconds`,
`errors` (answers other than 200), `ms`, the duration of each request, and `bodies`, the last answer to each.
"""

import asyncio
import json
import sys
import time


class Load:
    """COUNT requests, sent by several clients, and their answers."""

    def __init__(self, port: int, count: int, requests: list[str]) -> None:
        self.bodies = [""] * len(requests)
        self.ms: list[float] = []
        self.errors = 0
        self._port = port
        self._requests = [request.encode() for request in requests]
        self._numbers = iter(range(count))

    async def client(self) -> None:
        """Send requests on one connection until enough are sent."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        for number in self._numbers:
            which = number % len(self._requests)
            started = time.perf_counter()
            writer.write(self._requests[which])
            head = await reader.readuntil(b"\r\n\r\n")
            length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
            body = await reader.readexactly(int(length.partition(b":")[2]))
            self.ms.append((time.perf_counter() - started) * 1000)
            self.errors += not head.startswith(b"HTTP/1.1 200 ")
            self.bodies[which] = body.decode()
        writer.close()
        await writer.wait_closed()


async def _load(port: int, clients: int, count: int, requests: list[str]) -> dict[str, object]:
    load = Load(port, count, requests)
    started = time.perf_counter()
    await asyncio.gather(*(load.client() for _ in range(clients)))
    seconds = time.perf_counter() - started
    return {"seconds": seconds, "errors": load.errors, "ms": load.ms, "bodies": load.bodies}


if __name__ == "__main__":
    numbers = [int(arg) for arg in sys.argv[1:4]]
    print(json.dumps(asyncio.run(_load(numbers[0], numbers[1], numbers[2], json.load(sys.stdin)))))
