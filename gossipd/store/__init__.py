"""The file gossip_store: its records, its only writer, and stores of earlier versions.
Called by the rooms of gossipd above it and by gossmap, and by tools that make stores; knows no channel and no peer.
"""
