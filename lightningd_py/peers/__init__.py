"""Which peers we want: bans and rules, nodes to stay connected with, first peers, and our own address as peers see it.
Called by the node and rpc/.
"""
