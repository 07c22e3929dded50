"""The recorder as a part of a node (`--record`). Called by the node alone; what it records is in `observatory/`, which
it starts as a process and does not import.
"""
