"""The file gossip_store: its records, its only writer, and stores of earlier versions.
Called by map/ and by readers of stores; knows no channel and no peer.
"""
