"""The steps of the pipelines, a folder each.

`component.py` needs kfp's compiler and is imported where pipelines are built; the rest also where they run, which has
only kfp's runtime.
"""
