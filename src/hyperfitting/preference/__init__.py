"""The preference study: pairs of texts, blinded judgements, and a percentage with an honest
interval.
"""
