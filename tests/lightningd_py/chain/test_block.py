"""What a block spends."""

import pytest

from lightningd_py.chain.block import BlockError, block_hash, inputs, previous_hash
from tests.lightningd_py.chain.canned_bitcoind import GENESIS, Chain, Transaction

OUTPOINTS = [bytes([number]) * 32 + bytes([number, 0, 0, 0]) for number in range(1, 6)]
NOWHERE = bytes(32) + b"\xff" * 4


def test_all_inputs_of_all_transactions_are_found() -> None:
    chain = Chain()
    with_witness = Transaction(OUTPOINTS[:2], [(1, b"\x00" * 300), (2, b"")], witness=True)
    chain.add(with_witness, Transaction(OUTPOINTS[2:], [(3, b"\x51")] * 260))
    raw = chain.blocks[0].raw()
    assert list(inputs(raw)) == [NOWHERE, *OUTPOINTS]
    assert (block_hash(raw), previous_hash(raw)) == (chain.hash_at(1), GENESIS)


@pytest.mark.parametrize("cut", [1, 5, 60, 150])
def test_a_part_of_a_block_is_none(cut: int) -> None:
    chain = Chain()
    chain.add(Transaction(OUTPOINTS, [(1, b"\x51")], witness=True))
    with pytest.raises(BlockError):
        list(inputs(chain.blocks[0].raw()[:-cut]))
    with pytest.raises(BlockError, match="wrong length"):
        list(inputs(chain.blocks[0].raw() + b"\0"))
