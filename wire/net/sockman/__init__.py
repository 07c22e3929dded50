"""Sockets apart from protocol, cut as Bitcoin Core's SockMan: listening, dialling, reading, writing, and the end.

Subclassed by connectd, and by `owned_peers` for the owners of connections. It knows nothing of Lightning.
"""
