"""`lightning-cli-py`: one command to a running node, and the feed in a terminal.
Nothing imports it.
"""
