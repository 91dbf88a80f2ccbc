"""What all kinds of report share: the page and its style, pictures, numbers and tables."""
