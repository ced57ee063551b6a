"""Imported by every Python that has this folder on its path: makes workers able to do strange things."""

import strange

strange.register()
