"""Metrics of images, as pure functions of colour ids in raster order and of the clusters' colours.

grids.py        an image of which some rows were given
repetition.py   equal rows, equal columns, constant runs, patches, periods
features.py     two named feature spaces that need no download
closeness.py    Frechet distance, density and coverage between sets of features
recitation.py   the nearest training image
controls.py     a copied row, and the nearest training image pasted in

Shapes: N images, M training images, H rows, W columns, h written rows, K clusters, C = 3 channels,
D features.
"""
