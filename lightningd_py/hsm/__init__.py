"""hsmd, a process of its own: the only one that holds the node's secret.
Started by the master; nothing of it but `signmessage` is imported elsewhere.
"""
