"""Tools for people and their scripts: the demo, the scriptable peer, made-up maps, the client of the feed.
No part of the node imports them.
"""
