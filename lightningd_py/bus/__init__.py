"""The ZMQ buses that the master binds: CTL, CHNL and API.
Called by the node.
"""
