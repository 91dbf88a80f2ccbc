import hashlib

from hyperfitting.recipe import parse_recipe
from hyperfitting.seeds import derive_seed


def test_a_derived_seed_is_the_first_63_bits_of_a_sha256_of_its_parts():
    assert (
        derive_seed("dropout", 3, 1)
        == int(hashlib.sha256(b"dropout\n3\n1").hexdigest()[:16], 16) >> 1
    )
    assert derive_seed(3, 1) != derive_seed(1, 3)
    assert 0 <= derive_seed(0) < 2**63


def test_the_seeds_of_draw_order_and_samples_follow_the_one_seed_unless_they_are_set(tree):
    tree["seed"] = 7
    recipe = parse_recipe(tree, source="t")
    assert (recipe.data_seed, recipe.order_seed, recipe.sampling_seed) == (7, 7, 7)
    tree["data"]["seed"], tree["train"]["order_seed"], tree["generate"]["seed"] = 0, 1, 2
    apart = parse_recipe(tree, source="t")
    assert (apart.data_seed, apart.order_seed, apart.sampling_seed, apart.seed) == (0, 1, 2, 7)
    assert apart.digest != recipe.digest


def test_the_original_does_not_depend_on_the_order(tree):
    before = parse_recipe(tree, source="t").original().digest
    tree["train"]["order_seed"] = 5
    assert parse_recipe(tree, source="t").original().digest == before
