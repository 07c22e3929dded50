"""LDK's rapid gossip sync: snapshots of a map, what has changed since a client's last one, and their server. Called by
`rgs`, a process of its own beside the node; needs no extra.
"""
