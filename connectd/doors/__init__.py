"""The ways in: listening sockets, our onion services, WebSockets.
Called by connectd, and by a connectiond that runs on its own.
"""
