"""Attacks on a node, in a process of their own:

    python -m tests.harness.siege.attack TARGET WEB TRUTH NAME,NAME,...

They begin after the first line on standard input and end at the next; then a line of JSON tells what was done.
"""

import asyncio
import contextlib
import json
import os
import sys
from pathlib import Path

from tests.harness.siege import crowds, lies, questions
from tests.harness.siege.attacker import Attack, Attacker
from tests.harness.siege.truth import read_truth

ATTACKS: dict[str, Attack] = {
    attack.__name__: attack
    for attack in (
        lies.self_signed_announcements,
        lies.forged_updates_and_nodes,
        lies.updates_of_channels_that_do_not_exist,
        lies.announcements_without_outputs,
        lies.drip,
        lies.empty_replies,
        lies.one_bad_message_in_an_honest_map,
        questions.ranges_with_checksums,
        questions.filters_that_match_nothing,
        questions.one_id_repeated,
        questions.odd_tlvs,
        questions.sixty_floods,
        questions.slow_readers,
        crowds.huge_inits,
        crowds.warnings_and_errors,
        crowds.small_warnings,
        crowds.connect_and_leave,
        crowds.silent_crowd,
        crowds.half_handshakes,
        crowds.empty_frames,
    )
}
NICE = 5
"""Strangers have machines of their own: what they compute is not to be what the node lacks."""


async def main(target: str, web: str, truth: str, names: str) -> None:
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    attackers = {name: Attacker(target, web, read_truth(Path(truth))) for name in filter(None, names.split(","))}
    print(flush=True)
    await reader.readline()
    attacks = [asyncio.create_task(ATTACKS[name](at)) for name, at in attackers.items()]
    end = asyncio.create_task(reader.readline())
    await asyncio.wait([*attacks, end], return_when=asyncio.FIRST_COMPLETED)
    for attack in attacks:
        if attack.done():
            attack.result()  # an attack that fails, or gives up, is none
            raise RuntimeError("an attack has given up")
        attack.cancel()
    for attack in attacks:
        with contextlib.suppress(asyncio.CancelledError):
            await attack
    print(json.dumps({name: at.figures for name, at in attackers.items()}), flush=True)


if __name__ == "__main__":
    os.nice(NICE)
    asyncio.run(main(*sys.argv[1:]))
