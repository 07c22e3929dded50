"""Onion messages and blinded paths, BOLT 4: peeling and building, without I/O and without our node's key.
Called by oniond, which relays; `keys` alone also by hsmd, which has the key.
"""
