"""Choosing the next token: rules on logits, and the one loop that applies them."""

from hyperfitting.decoding.loop import Ending, NextToken, chooser, continue_texts, token_steps, uniforms

__all__ = ["Ending", "NextToken", "chooser", "continue_texts", "token_steps", "uniforms"]
