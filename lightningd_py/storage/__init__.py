"""Peer storage (BOLT 1): the blobs that peers have us keep, and those that services have kept with peers.
Called by rpc/, metrics/, bus/ and the node's own start.
"""
