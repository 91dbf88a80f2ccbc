"""From runs to a study: arms, pairs, presentation, the folder."""
