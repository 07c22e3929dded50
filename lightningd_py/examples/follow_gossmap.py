"""Prints the channels that come to and go from a map while a daemon writes it: `follow_gossmap.py GOSSIP_STORE`."""

import sys
import time

from gossipd.gossmap import Gossmap, StoreError
from wire.scid import scid_to_text


def scids(gossmap: Gossmap) -> set[int]:
    """All channels on the map."""
    return set(gossmap.index.channels)


def news(gossmap: Gossmap, known: set[int]) -> list[str]:
    """One line for each channel that has come or gone since `known`, which is brought up to date."""
    gossmap.refresh()
    now = scids(gossmap)
    lines = [f"+ {scid_to_text(scid)}" for scid in sorted(now - known)]
    lines += [f"- {scid_to_text(scid)}" for scid in sorted(known - now)]
    known.clear()
    known.update(now)
    return lines


def main() -> None:
    """Until it is interrupted."""
    with Gossmap(sys.argv[1]) as gossmap:
        known = scids(gossmap)
        while True:
            for line in news(gossmap, known):
                print(line, flush=True)
            time.sleep(1)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: follow_gossmap.py GOSSIP_STORE")
    try:
        main()
    except OSError as error:
        sys.exit(f"{sys.argv[1]} cannot be read: {error.strerror}")
    except StoreError as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        sys.exit(0)
