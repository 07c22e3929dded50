#!/usr/bin/env python3
"""A service in twenty lines: refuses every channel, politely, and gives the peer back.

lightningd-py --service refuser="python3 refuse_channels.py" --take refuser=open_channel,open_channel2
"""

import sys

from wire.peer_wire import ErrorMessage, channel_id_of
from wire.program import taken_peer

try:
    taken = taken_peer()
except RuntimeError as error:
    sys.exit(str(error))
with taken as peer:
    channel_id = channel_id_of(peer.message or b"")
    print(f"refusing a channel of {peer.info.node_id.hex()}", file=sys.stderr)
    if channel_id is not None:
        peer.say(ErrorMessage(channel_id, b"this node opens no channels").encode())
