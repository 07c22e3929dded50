"""Gossip v2, understood with --experimental-gossip-v2: judged, and kept beside the map, which does not change by it.
Called by gossipd.py, and by the peers that say it; listings read its file.
"""
