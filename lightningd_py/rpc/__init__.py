"""JSON-RPC on the Unix socket: the server, its clients, and how parameters are read; the methods are in `methods/`.
Called by the node; bus/ offers the same methods on the API bus.
"""
