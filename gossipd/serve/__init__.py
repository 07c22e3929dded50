"""What peers get of the map: streams by their filters, answers to their queries, within a budget.
Called by peers/, and by gossipd.py for the budget; ask/ takes the checksum of an update from here.
"""
