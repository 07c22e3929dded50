"""Names on the wire: streams, subjects, headers and ids of messages. docs/scale.md has them as a table.

One stream for what each vantage point has heard, in which nothing is de-duplicated but what was sent twice; one for the
messages themselves, each once; one for all the rest. De-duplicating arrivals by message would lose who heard it when.
"""

from typing import NamedTuple

from lightningd_py.observatory.tables.names import file_name
from lightningd_py.observatory.tables.schemas import TABLES

SCHEMA = "1"
"""Of the columns in tables/schemas.py. An archive leaves batches of another one out, and says so."""
SCHEMA_HEADER, VANTAGE_HEADER, TIME_HEADER, HEARD_HEADER = "Ln-Schema", "Ln-Vantage", "Ln-First-Seen", "Ln-Heard"
ARCHIVE = "archive"
"""The name of an archive's spool and hour files; there is one archive in a folder."""
ARRIVALS, MESSAGES, PEERS = "LN_ARRIVALS", "LN_MESSAGES", "LN_PEERS"
STREAM_OF = {
    "arrivals": ARRIVALS,
    "messages": MESSAGES,
    "peers": PEERS,
    "map": PEERS,
    "clock": PEERS,
    "losses": PEERS,
}
"""Table -> the stream that its batches go to."""
VANTAGES, VANTAGES_STREAM = "vantages", "LN_VANTAGES"
"""Who sends under which name: `ln.NETWORK.vantages.VANTAGE` (lease.py)."""

assert STREAM_OF.keys() == TABLES.keys()


def token(text: str) -> str:
    """A vantage point's name as one word of a subject."""
    return file_name(text).replace(".", "_")


def subject(network: str, table: str, last: str = "*") -> str:
    """`last` is the vantage point's token, for messages their type; a star is all of them."""
    return f"ln.{token(network)}.{table}.{last}"


class BatchId(NamedTuple):
    """Which batch of a recorder this is: its Nats-Msg-Id. `epoch`: unix ns at which that run of the recorder began,
    `number` counts the table's batches in it."""

    vantage: str
    epoch: int
    table: str
    number: int

    def __str__(self) -> str:
        return f"{self.vantage}-{self.epoch}-{self.table}-{self.number}"

    @classmethod
    def parse(cls, text: str) -> "BatchId | None":
        """None for anything else."""
        words = text.rsplit("-", 3)
        if len(words) != 4 or not (words[1] + words[3]).isascii() or not (words[1].isdigit() and words[3].isdigit()):
            return None
        return cls(words[0], int(words[1]), words[2], int(words[3]))
