"""A pump that reports its pressure, and the logs of its program.

    python example.py pump-17 logs.example.com:50051
"""

import asyncio
import logging
import random
import sys

import fleetlog


async def measure(client: fleetlog.Client) -> None:
    """Records of the pump itself, with typed attributes."""
    for count in range(10):
        bar = round(random.uniform(0.3, 1.0), 2)
        severity = fleetlog.Severity.WARN if bar < 0.5 else fleetlog.Severity.INFO
        await client.log("pressure measured", severity=severity, logger="pump", bar=bar, count=count)
        await asyncio.sleep(0.1)


async def main(device_id: str, address: str) -> None:
    # The program's own log goes the ordinary way, in a session of its own.
    logging.basicConfig(level=logging.INFO, handlers=[fleetlog.Handler(device_id, address)])
    logging.info("started", extra={"arguments": len(sys.argv)})

    # With spool="/var/lib/pump/spool" nothing is lost when the program is killed or the machine restarts.
    async with fleetlog.Client(device_id, address, firmware="2.1.0", attributes={"boot.reason": "power"}) as client:
        await measure(client)
        await client.flush(timeout=30)
    logging.info("done")


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:3]))
