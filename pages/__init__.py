"""What the documents are made with: generated reference pages, and the site that `make docs`
builds.

generate.py  `python -m pages` writes the generated pages anew
verbs.py     every verb of the command line
models.py    the models that the shipped recipes name
site.py      the hook of mkdocs.yml
"""
