"""Which peers we want: bans and rules, nodes to stay connected with, first peers; and our own node as peers see it.
Called by daemons/, rpc/, bus/ and the node.
"""
