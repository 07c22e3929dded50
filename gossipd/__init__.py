"""gossipd keeps the map of the network and owns every peer that only gossips."""
