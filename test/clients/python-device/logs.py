"""A program that logs with fleetlog.Handler, in one of several ways.

    logs.py GRPC WAY COUNT [SPOOL]
"""

import logging
import logging.config
import multiprocessing
import os
import signal
import sys
import threading
import time

import fleetlog

log = logging.getLogger("shop")


def log_numbers(name: str, count: int) -> None:
    for number in range(count):
        log.info("%s %d", name, number, extra={"number": number})


def threads(count: int) -> None:
    """Several threads at once, and the exit of the interpreter behind them."""
    workers = [threading.Thread(target=log_numbers, args=(f"thread {index}", count)) for index in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()


def exits(count: int) -> None:
    """The interpreter ends at once, by an exception that nothing catches."""
    log_numbers("exit", count)
    try:
        raise ValueError("the reason")
    except ValueError:
        log.exception("failed")
    sys.exit(3)


def forks(count: int) -> None:
    """os.fork and multiprocessing while a thread logs, so that the stream is busy."""
    done = threading.Event()

    def log_until_done() -> None:
        number = 0
        while not done.is_set():
            log.info("background %d", number)
            number += 1
            time.sleep(0.0005)
        log_numbers("parent", count)

    background = threading.Thread(target=log_until_done)
    background.start()
    children = []
    for index in range(3):
        time.sleep(0.1)
        child = os.fork()
        if child == 0:
            log_numbers(f"fork {index}", count)
            sys.exit(0)
        children.append(child)
    for child in children:
        _, status = os.waitpid(child, 0)
        assert status == 0, status
    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=log_numbers, args=(f"worker {index}", count)) for index in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
        assert worker.exitcode == 0, worker.exitcode
    done.set()
    background.join()


def itself(count: int) -> None:
    """Everything at DEBUG, asyncio and h2 included: what the handler's own thread logs is not logged."""
    logging.getLogger("asyncio").setLevel(logging.DEBUG)
    logging.getLogger("hpack").setLevel(logging.DEBUG)
    logging.getLogger().setLevel(logging.DEBUG)
    log_numbers("itself", count)
    handler.wait(60)


def signals(count: int) -> None:
    """A signal's handler logs while the program logs."""
    signal.signal(signal.SIGALRM, lambda *_: log.info("signal"))
    signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
    log_numbers("signals", count)
    signal.setitimer(signal.ITIMER_REAL, 0)


def killed(count: int) -> None:
    """The process dies after its records are in the spool."""
    log_numbers("killed", count)
    log.error("last")  # sends what was gathered
    print("wait", handler.wait(float(os.environ.get("WAIT_SECONDS", "60"))), flush=True)
    os.kill(os.getpid(), signal.SIGKILL)


def unreachable(count: int) -> None:
    """The exit takes no longer than exit_timeout allows."""
    log_numbers("unreachable", count)


address, way, count, *spool = sys.argv[1:]
options = {"spool": spool[0]} if spool else {}
logging.config.dictConfig(
    {
        "version": 1,
        "disable_existing_loggers": False,
        "handlers": {
            "fleetlog": {
                "class": "fleetlog.Handler",
                "device_id": f"logs-{way}",
                "address": address,
                "exit_timeout": float(os.environ.get("EXIT_SECONDS", "60")),
                "backoff_cap": 0.2,
                **options,
            }
        },
        "root": {"level": "INFO", "handlers": ["fleetlog"]},
    }
)
handler = logging.getLogger().handlers[0]
assert isinstance(handler, fleetlog.Handler)
if __name__ == "__main__":
    globals()[way](int(count))
