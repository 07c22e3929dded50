"""The map of the network as arrays over the store, and all that keeps it: writing, forgetting, pruning, compaction.
Called by every room of gossipd above it, and by gossmap for readers.
"""
