"""connectd faces the internet: it binds, accepts, dials, does Noise and INIT, and gives every peer away.
Started by the master; connectiond, which owns connections, and websocketd are rooms of their own in here.
"""
