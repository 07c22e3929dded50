"""What peers get of the map: streams by their filters, answers to their queries, within a budget.
Called by peers/.
"""
