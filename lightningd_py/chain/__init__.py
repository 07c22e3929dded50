"""What the master knows of the chain: none, or a Bitcoin node that is followed and asked for funding outputs.
Called by daemons/gossip_control and the node.
"""
