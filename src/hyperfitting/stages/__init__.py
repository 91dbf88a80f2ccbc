"""The steps of an experiment: each reads its folder, writes its files, and prints nothing."""
