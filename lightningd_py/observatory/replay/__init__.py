"""A record said again, into a feed or to a node, and a made-up day of the network said by scripted peers.
Called by the command `replay` alone.
"""
