"""The daemons: started, told who they are, watched, restarted, ended; one file for the master's half of each.
Called by the node.
"""
