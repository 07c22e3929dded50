"""What the daemons share to talk to each other, and to begin and end alike.

Control messages and their channels, processes, log lines, intervals and bounds. Every daemon and the master import it.
"""
