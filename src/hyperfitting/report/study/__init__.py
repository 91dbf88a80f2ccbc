"""The page of a study: the paper's figure with ours on it, the table, and what agrees in words."""
