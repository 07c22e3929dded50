"""A program that copies 513: answers onion messages for the node, by JSON-RPC, along their reply paths.

`onion_service.py RPC_FILE`: the answer is `CONTEXT/TEXT`, of the same type; without a path of this service's `-/TEXT`.
"""

import json
import socket
import sys

from wire.control.control_wire import OnionForUs
from wire.program import copies


def answer(heard: OnionForUs) -> None:
    """Say it, and read what the node says to that."""
    ((number, text),) = heard.fields
    context = b"-" if heard.service is None else heard.context
    params = {"fields": {str(number): (context + b"/" + text).hex()}, "blindedpath": heard.reply_path.hex()}
    with socket.socket(socket.AF_UNIX) as rpc:
        rpc.connect(sys.argv[1])
        rpc.sendall(json.dumps({"jsonrpc": "2.0", "id": 1, "method": "sendonionmessage", "params": params}).encode())
        print(rpc.recv(65536).decode(), file=sys.stderr)


for copy in copies():
    if isinstance(copy, OnionForUs):
        answer(copy)
    else:
        print("a peer has said", copy.message[:2].hex(), file=sys.stderr, flush=True)
