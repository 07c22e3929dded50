"""The sockets of peers, and what the owner of a connection owes it: pings, errors, gossip to and from gossipd.
Called by the three kinds of owners: gossipd, connectiond and a service's program.
"""
