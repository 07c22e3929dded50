"""`lightning-observatory`: all that a node's feed says, recorded, and what can be asked of the record. A command of its
own beside the node, with the extra `[observatory]`: no daemon imports anything from here.
"""
