"""HTTP clients that repeat one request: `python -m benchmarks.clients PORT CLIENTS REQUESTS < request`.

It is a separate process, so that the measured one does not wait for its interpreter lock. Prints JSON: `seconds`,
`errors` (answers other than 200), and `ms`, the duration of each request.
"""

import asyncio
import json
import sys
import time


async def _client(port: int, request: bytes, left: list[int], ms: list[float]) -> int:
    """Send requests on one connection until enough are sent; return the number of errors."""
    errors = 0
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    while left[0] > 0:
        left[0] -= 1
        started = time.perf_counter()
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        await reader.readexactly(int(length.partition(b":")[2]))
        ms.append((time.perf_counter() - started) * 1000)
        errors += not head.startswith(b"HTTP/1.1 200 ")
    writer.close()
    await writer.wait_closed()
    return errors


async def _load(port: int, clients: int, requests: int, request: bytes) -> dict[str, object]:
    left, ms = [requests], list[float]()
    started = time.perf_counter()
    errors = await asyncio.gather(*(_client(port, request, left, ms) for _ in range(clients)))
    return {"seconds": time.perf_counter() - started, "errors": sum(errors), "ms": ms}


if __name__ == "__main__":
    numbers = [int(arg) for arg in sys.argv[1:4]]
    print(json.dumps(asyncio.run(_load(numbers[0], numbers[1], numbers[2], sys.stdin.buffer.read()))))
