"""The node's options: one table, read from the command line and from CLN's config files.
The command reads them; chain/, peers/, daemons/, rpc/ and bus/ are given them.
"""
