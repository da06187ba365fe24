"""What people read: pure functions from plain data to lines of text.

Each public function lives in the module that is named for it; importing this package loads none.
"""

__all__: list[str] = []
