"""The node's options: one table, read from the command line and from CLN's config files.
Used by the command and by the node at its start.
"""
