"""connectd faces the internet: it binds, accepts, dials, does Noise and INIT, and gives every peer away."""
