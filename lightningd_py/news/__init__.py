"""What has happened, for clients who ask later (the log, network events) and for those who want to hear of it at once.
Fed by daemons/, owners' lists and the node; read by rpc/.
"""
