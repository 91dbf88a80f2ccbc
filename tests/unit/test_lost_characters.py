"""What a tokenizer loses of a text, and how far the first tokens of a text reach."""

import unicodedata

import pytest

from hyperfitting.data.lost_characters import Losses, reach


class Letters:
    """A codec of single characters without capitals, digits and %: those are lost; two letters make
    one token.
    """

    fingerprint, end_ids = "letters", (0,)

    def encode(self, text, *, at_most=None):
        kept = "".join(each for each in text if each.islower() or each.isspace())
        return [
            0,
            *(
                ord(kept[i]) * 2000 + (ord(kept[i + 1]) if i + 1 < len(kept) else 0)
                for i in range(0, len(kept), 2)
            ),
        ]

    def decode(self, ids):
        return "".join(
            chr(each // 2000) + (chr(each % 2000) if each % 2000 else "") for each in ids if each
        )


def test_lost_and_added_characters_are_counted_by_kind():
    losses = Losses()
    losses.add("It rose 5% to £3.", "it rose  to 3")
    losses.add("as it was", "as it was")
    facts = losses.facts()
    assert facts.texts == 2
    assert facts.texts_changed == 1
    assert facts.characters == 26
    assert facts.lost_most == {"I": 1, "5": 1, "%": 1, "£": 1, ".": 1}
    assert facts.lost_by_kind == {"punctuation": 2, "letters": 1, "digits": 1, "symbols": 1}
    assert (facts.added, facts.added_by_kind) == (1, {"letters": 1})
    assert losses.share == pytest.approx(5 / 26)


def test_white_space_counts_and_composed_accents_do_not():
    losses = Losses()
    losses.add(" a\tb\r\n", "a b\n")
    losses.add(unicodedata.normalize("NFD", "été"), "été")
    assert losses.lost == {"\t": 1, "\r": 1}
    assert losses.facts().lost_by_kind == {"white space": 2}
    assert losses.changed == 1


def test_half_a_character_at_the_end_is_not_added():
    losses = Losses()
    losses.add("a日", "a日\ufffd")
    assert not losses.added


def test_losses_add_up():
    one, other = Losses(), Losses()
    one.add("a%", "a")
    other.add("b", "b")
    both = one + other
    assert (both.texts, both.characters, both.lost) == (2, 3, {"%": 1})


@pytest.mark.parametrize(
    ("text", "taken"), [("ab cd ef", 3), ("Ab% cD ef gh", 4), ("%%%%%%%%%%ab", 2), ("abcd%%%%", 3)]
)
def test_reach_is_what_the_tokens_stand_for(text, taken):
    codec = Letters()
    encoded = codec.encode(text)
    ids = encoded[:taken]
    part = text[: reach(codec, text, ids, encoded)]
    assert codec.encode(part) == ids
    longer = text[: len(part) + 1]
    assert longer == part or codec.encode(longer) != ids


def test_all_tokens_reach_to_the_end_even_where_it_is_lost():
    codec = Letters()
    assert reach(codec, "ab%%%", codec.encode("ab%%%"), codec.encode("ab%%%")) == 5
    assert reach(codec, "你好", [0], [0]) == 2
