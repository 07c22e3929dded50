"""The ZMQ buses that the master binds: CTL, CHNL and API.
The node opens them, and gives CTL what it uses as an `Around`.
"""
