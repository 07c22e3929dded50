"""The page: one process that shows a node's map, arrivals and record in a browser, and changes nothing.
Used by `lightning-observatory web` alone; numpy is imported in `layout.py`, a process of its own, and nowhere else.
"""
