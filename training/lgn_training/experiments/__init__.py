"""The papers' experiments on learned actions, and ours: one file each, which registers it in `registry.py`.

`measured/NAME/` has the committed result and figures of experiment NAME.
"""
