"""Does the chain have the output that a channel_announcement_2 claims? By the stage that asks for v1's, too.

The draft's validation: the output's script is that of the bitcoin keys, P2WSH or P2TR; without keys any P2TR. The
transaction's id is not compared: the scid alone says which output is meant.
"""

from collections.abc import Callable
from functools import partial

from gossipd.ingest.txout import Txout
from wire.gossip_v2.keys import P2TR, SCRIPT_SIZE, multisig_script, taproot_script
from wire.gossip_v2.messages import ChannelAnnouncement2

Found = Callable[[bytes], None]
"""Gets the script of an output that fits."""
Failed = Callable[[str, bool], None]
"""Gets the reason, and whether the announcement claims what was never its own."""


def scripts_of(said: ChannelAnnouncement2) -> list[bytes]:
    """What the output may pay to, the likelier one first; none for any P2TR."""
    if said.bitcoin_keys is None:
        return []
    taproot = taproot_script(*said.bitcoin_keys, said.merkle_root_hash)
    found = [] if taproot is None else [taproot]
    return found if said.merkle_root_hash is not None else [multisig_script(*said.bitcoin_keys), *found]


class Outputs:
    """Questions about outputs."""

    def __init__(self, txout: Txout) -> None:
        self._txout = txout

    def ask(self, said: ChannelAnnouncement2, conn_id: int, found: Found, failed: Failed) -> None:
        """One of both will be called, be it hours later, when the chain can be asked or the output is deep enough."""
        scripts = scripts_of(said)
        self._ask(said, conn_id, scripts[0] if scripts else b"", found, failed)

    def _ask(self, said: ChannelAnnouncement2, conn_id: int, script: bytes, found: Found, failed: Failed) -> None:
        """The chain watches an output whose script is the one that it is asked for."""

        def missing(reason: str, *, forged: bool = False, dropped: bool = False) -> None:
            failed(reason, forged and scripts_of(said) == [script])  # by another script it may have been there

        seen = partial(self._seen, said, conn_id, script, found, failed)
        self._txout.ask_any(said.short_channel_id, script, seen, missing, conn_id)

    def _seen(
        self,
        said: ChannelAnnouncement2,
        conn_id: int,
        asked: bytes,
        found: Found,
        failed: Failed,
        amount_sat: int,
        script: bytes,
    ) -> None:
        flaw = _flaw(said, amount_sat, script)
        if flaw is not None:
            failed(flaw, True)
        elif script != asked:
            self._ask(said, conn_id, script, found, failed)
        else:
            found(script)


def _flaw(said: ChannelAnnouncement2, amount_sat: int, script: bytes) -> str | None:
    if amount_sat < said.capacity_satoshis:
        return "its output has less than its capacity"
    if said.bitcoin_keys is not None:
        return None if script in scripts_of(said) else "its output pays to another script"
    fits = script.startswith(P2TR) and len(script) == SCRIPT_SIZE
    return None if fits else "its output is no P2TR, and it has no bitcoin keys"
