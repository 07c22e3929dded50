"""Files of others, read and written: gossip_observer's Parquet, GSP, and gossip_stores.
Called by the commands and by the history.
"""
