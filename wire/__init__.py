"""What BOLT says, as values: bytes, messages, features, addresses, Noise, frames and routing.
Every daemon and the master import it; its rooms add control channels, sockets and buses.
"""
