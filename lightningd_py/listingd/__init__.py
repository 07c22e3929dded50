"""listingd, a process of its own: lists the map straight to the sockets of RPC clients, however slowly they read.
Started by the master, which lends it each client's socket; of its modules only `result_filter` is used by others.
"""
