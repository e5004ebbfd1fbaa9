"""Whole experiments on rules: compare them, merge comparisons, discover a b-function, draw a loss landscape."""
