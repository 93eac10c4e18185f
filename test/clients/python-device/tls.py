"""Logs one record over TLS, with a certificate of its own where it is given one.

    tls.py GRPC CA [CERTIFICATE KEY]
"""

import logging
import ssl
import sys

import fleetlog

address, ca, *own = sys.argv[1:]
context = ssl.create_default_context(cafile=ca)
if own:
    context.load_cert_chain(*own)
reasons: list[str] = []


def note(event: fleetlog.Event) -> None:
    if isinstance(event, fleetlog.Reconnecting):
        reasons.append(event.reason)


handler = fleetlog.Handler("host-1", address, tls=context, on_event=note, exit_timeout=0.1)
logging.getLogger().addHandler(handler)
logging.getLogger().error("over TLS")
if handler.wait(60 if own else 2):
    print("acknowledged")
else:
    print(reasons[0])
