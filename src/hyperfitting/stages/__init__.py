"""The stages of an experiment: each reads its folder, writes its files, returns data and prints
nothing.
"""
