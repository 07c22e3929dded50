"""lightningd-py, the master: it starts the daemons, decides who owns a peer, and talks to the outside."""
