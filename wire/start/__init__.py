"""What makes a process of ours start fast: late dataclasses, Python without `site`, the version. Any module of ours may
call it; it imports nothing of ours.
"""
