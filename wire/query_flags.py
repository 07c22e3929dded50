"""The bits of query_flags: which parts of a channel are asked for. BOLT 7, query_short_channel_ids (B7-91)."""

ANNOUNCEMENT, UPDATE_1, UPDATE_2, NODE_1, NODE_2 = 1, 2, 4, 8, 16
ALL = ANNOUNCEMENT | UPDATE_1 | UPDATE_2 | NODE_1 | NODE_2
