"""The ground that every daemon stands on: bytes, messages, Noise, frames, control channels and sockets."""
