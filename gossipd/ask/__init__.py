"""What we ask of which peer, so that the map becomes complete and stays so.
Called by gossipd.py and peers/; knows no sockets.
"""
