"""oniond, a process of its own: relays onion messages, opens those for this node, and makes messages and blinded paths.
Started by the master only, when they are wanted; the master's half is `lightningd_py/onions/`.
"""
