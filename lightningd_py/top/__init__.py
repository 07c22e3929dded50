"""`lightning-cli-py top`: a node watched live in a terminal, over its RPC socket and /proc.
The command line calls `top.watch`; the rest is what that draws, measures and hears.
"""
