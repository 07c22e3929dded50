"""How people read numbers and tables: units, and what `rich` draws on a terminal.
The command line, `top` and `probe` use it; all but `units` load rich, so they are imported on a terminal only.
"""
