"""What several tests build: tokenizers, models and folders, made on the fly."""
