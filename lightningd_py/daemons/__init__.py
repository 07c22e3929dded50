"""The daemons: started, told who they are, watched, restarted, ended; `X_control.py` is the master's half of X.
Called by the core and the node; rpc/ and bus/ use the halves.
"""
