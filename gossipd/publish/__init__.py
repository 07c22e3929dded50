"""How the feed leaves the process: messages as bytes, the ZMQ socket, and what its subscribers may want.
Called by feed.py, which says what is said, and by control.py, which opens the socket.
"""
