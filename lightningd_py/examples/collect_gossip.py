"""A collector: writes each gossip message that reaches a node, and what became of it, as a line of JSON.

python collect_gossip.py ~/.lightning-py/bitcoin/feed >> arrivals.jsonl
"""

import json
import sys

from lightningd_py.tools.feed_client import Feed
from wire.bus.feed import FeedError, Gossip


def main() -> None:
    """Until the node ends, or Ctrl-C."""
    with Feed(sys.argv[1], ["gossip."]) as feed:
        for message in feed:
            if feed.lost_of:
                print(f"{feed.lost_of} messages of {message.topic} were lost", file=sys.stderr)
            if isinstance(message, Gossip):
                sender = message.node_id.hex() if message.node_id else None
                fields = {"time_ns": message.time_ns, "from": sender, "conn_id": message.conn_id}
                fields |= {"outcome": message.outcome, "reason": message.reason, "raw": message.raw.hex()}
                print(json.dumps(fields), flush=True)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: collect_gossip.py FEED, the node's socket")
    try:
        main()
    except FeedError as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        sys.exit(0)
