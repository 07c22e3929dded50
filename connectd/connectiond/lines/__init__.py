"""A connection as the hub sees it, wherever its socket is: in this process, in a thread, or in another process.
Called by the hub and by `alone/`.
"""
