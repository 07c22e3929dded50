"""`lightning-cli-py probe`: why a map is incomplete, and what each peer gives. No node of ours is needed for it.
The command line calls `command.run`; a program may call `probe.probe`.
"""
