"""The observatory's tables: their columns, how they lie on the disk as spool and as hour files, and how both are read.
Used by all other rooms of the observatory; knows neither the feed nor what is asked.
"""
