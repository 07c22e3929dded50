"""JSON-RPC on the Unix socket: the server, the methods, their parameters and listings.
Called by the node; bus/ offers the same methods on the API bus.
"""
