"""websocketd, a process of its own: the frames of WebSockets unwrapped into streams that can be handed over.
Started by the master; connectd gives it sockets and imports nothing of it.
"""
