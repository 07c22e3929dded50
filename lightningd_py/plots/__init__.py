"""Plots as small SVG documents, in light and dark: the one writing of axes, curves and bars. Called by probe and by the
observatory; knows nothing of what is plotted.
"""
