"""Bundles: one signed archive a run, which anyone can verify and nobody can change unseen.

Each public function lives in the module that is named for it; importing this package loads none.
"""

__all__: list[str] = []
