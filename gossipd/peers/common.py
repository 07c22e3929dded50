"""What peers of one version say alike, kept once: the features and networks of their INITs."""

import functools

from wire.control.control_wire import PeerInfo

KEPT, LONGEST_KEPT = 64, 512
"""Pairs that are known, the least used of which is forgotten; bytes of one. A stranger who has another one each time
makes others take 0.2 kB more.
"""


def in_common(info: PeerInfo) -> PeerInfo:
    """The same, with the very bytes of an earlier one that has the same."""
    if len(info.features) + 32 * len(info.networks) > LONGEST_KEPT:
        return info
    features, networks = _kept(info.features, tuple(info.networks))
    return PeerInfo(info.node_id, info.conn_id, info.address, info.incoming, info.remote_addr, features, networks)


@functools.lru_cache(maxsize=KEPT)
def _kept(features: bytes, networks: tuple[bytes, ...]) -> tuple[bytes, list[bytes]]:
    return features, list(networks)
