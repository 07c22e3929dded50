"""Files of others, read and written: gossip_observer's Parquet, GSP, gossip_stores, and graphs out of a Gossmap.
Called by the commands and by the history; the writers of graphs need no extra.
"""
