"""The node of the tests, but for its patience with services of the buses, which is a real one's: a crowd of 1,000 peers
can keep a busy machine from a service for longer than the 2 s of --dev-fast-gossip.
"""

import sys
from dataclasses import replace

from wire.control import timing

timing.FAST_GOSSIP = replace(timing.FAST_GOSSIP, bus_patience=timing.Timing().bus_patience)

if __name__ == "__main__":
    from lightningd_py.__main__ import main

    sys.exit(main())
