"""Draw the sets of a recipe of images by seed: each image is one block, split by group, without
repeats between training and held-out images.

Shapes: N blocks, T tokens, H rows, W columns, C = 3 channels.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hyperfitting.data.draw import DatasetSplits, set_facts
from hyperfitting.data.fit_palette import fit_palette
from hyperfitting.data.image_sources import read_images
from hyperfitting.data.near_images import NearImages
from hyperfitting.data.pixels import Picture
from hyperfitting.data.requests import WATCHED, SetRequest, SetRequests, leak_remedy
from hyperfitting.errors import DataError
from hyperfitting.facts import DataManifest, LeakFacts
from hyperfitting.palette import Palette
from hyperfitting.recipe import ImageSettings, Recipe
from hyperfitting.records import Origin, TokenBlocks


class ImageSplits(NamedTuple):
    """The sets, as those of texts are, and the colours in which they are written."""

    drawn: DatasetSplits
    palette: Palette


def draw_images(
    recipe: Recipe, images: ImageSettings, palette: Palette | None, colours: int
) -> ImageSplits:
    """Draw every set of a recipe of images.

    Each set takes the first images that are not equal to one that it holds, in an order drawn by
    the seed. A held-out image leaks if it, or its mirror image, repeats one that trains or
    validates, nearly or exactly (`NearImages`). Leaking images of the training source are skipped
    and listed in the manifest; a leak in a source that the user named for validation or contexts is
    an error. Near repeats inside a set are counted and kept.

    Without a `palette`, one of so many `colours` is fitted to the images that train.

    Raises:
        DataError: a source cannot be read, is too small, or leaks, or has too few colours.
    """
    requests = SetRequests(recipe, None, partial(read_images, images=images))
    known: list[NearImages] = []
    taken = []
    for wanted in requests.sets():
        each = _taken_by(wanted, images, known)
        if wanted.name in WATCHED:
            known.append(each.near)
        taken.append(each)
    if palette is None:
        training = [each.pixels_HWC for each in taken[0].pictures]
        source = recipe.data.train.path
        palette = fit_palette(training, colours, seed=recipe.data_seed, source=source)
    sets = [_blocks(each, images, palette) for each in taken]
    facts = [set_facts(each.wanted, blocks, None) for each, blocks in zip(taken, sets, strict=True)]
    manifest = DataManifest(
        codec=palette.fingerprint(images.side),
        seed=recipe.data_seed,
        sources=tuple(each.facts for each in requests.texts),
        sets=tuple(facts),
    )
    return ImageSplits(DatasetSplits(sets, manifest), palette)


@dataclass
class _Taken:
    """The images that a set has taken, in order."""

    wanted: SetRequest
    pictures: list[Picture] = field(default_factory=list)
    near: NearImages = field(default_factory=NearImages)


def _taken_by(wanted: SetRequest, images: ImageSettings, known: list[NearImages]) -> _Taken:
    """What a set takes of its source.

    Raises:
        DataError: there are too few images, or one of a source that the user named leaks.
    """
    taken, held = _Taken(wanted), set[bytes]()
    copies = 2 if images.mirrored and wanted.name == "train" else 1
    while len(taken.pictures) < wanted.count // copies:
        picture: Picture | None = wanted.offered()
        if picture is None:
            raise DataError(_too_few(wanted, len(taken.pictures), wanted.count // copies))
        pixels = picture.pixels_HWC.tobytes()
        if pixels in held:
            wanted.repeated += 1
        elif not _leaks(wanted, picture, known):
            held.add(pixels)
            taken.pictures.append(picture)
            wanted.near_repeated += taken.near.add(picture) is not None
    return taken


def _leaks(wanted: SetRequest, picture: Picture, known: list[NearImages]) -> bool:
    found = next((near for each in known if (near := each.find(picture)) is not None), None)
    if found is None:
        return False
    place = f"{found.source}, row {found.row}"
    if wanted.refuses_leaks:
        raise DataError(
            f"{picture.source}, row {picture.row}: the set {wanted.name!r} leaks: it repeats "
            f"{place}, which trains or validates, or nearly does: {leak_remedy(wanted)}"
        )
    leak = LeakFacts(source=picture.source, row=picture.row, title=picture.title, words=place)
    wanted.leaks.append(leak)
    return True


def _too_few(wanted: SetRequest, found: int, needed: int) -> str:
    counts = {"repeated": wanted.repeated, "leaked": len(wanted.leaks)}
    passed_over = ", ".join(f"{count} {what}" for what, count in counts.items() if count)
    setting = {"train": "data.train_blocks", "validation": "data.validation_blocks"}
    lower = setting.get(wanted.name, "its count in data.domains")
    return (
        f"{wanted.source}: the set {wanted.name!r} needs {needed} images, and there are {found} "
        f"among the {len(wanted.seen)} left for it{f' ({passed_over})' if passed_over else ''}: "
        f"lower {lower}, or give it more images"
    )


def _blocks(taken: _Taken, images: ImageSettings, palette: Palette) -> TokenBlocks:
    """The blocks of a set: of each image one, and one of its mirror image where training asks for
    it.
    """
    mirrored = images.mirrored and taken.wanted.name == "train"
    rows: list[NDArray[np.int32]] = []
    origins: list[Origin] = []
    for each in taken.pictures:
        ids_HW = palette.nearest(each.pixels_HWC)
        for ids in (ids_HW, ids_HW[:, ::-1]) if mirrored else (ids_HW,):
            rows.append(np.concatenate([[len(palette)], ids.ravel()]).astype(np.int32))
            origins.append(Origin(each.source, each.row, each.group, each.title))
    codec = palette.fingerprint(images.side)
    return TokenBlocks(taken.wanted.name, codec, np.stack(rows), tuple(origins))
