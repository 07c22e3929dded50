"""Gossip v2 as drafted in BOLTs' pull request 1059 (May 2026): its four messages, what they sign, and by which keys.
Called by gossipd and its signature workers, listingd, and the tools that make such gossip.
"""
