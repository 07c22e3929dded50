"""The peers of gossipd: what each says and is told, what its gossip is worth, and who goes when there are too many.
Called by gossipd.
"""
