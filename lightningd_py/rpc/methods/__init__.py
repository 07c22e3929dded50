"""The JSON-RPC methods, a file for each kind of them; `commands` has them all.
Called by the node, which gives the server what is here; bus/ uses `peer_requests`, too.
"""
