"""A signer that is made from settings, and not from securesystemslib's URIs."""

from __future__ import annotations

from securesystemslib.signer import Key, SecretsHandler, Signer

__all__ = ["Made"]


class Made(Signer):
    """What the signers here have in common: a URI has no place for modules, PINs and endpoints."""

    @classmethod
    def from_priv_key_uri(
        cls,
        priv_key_uri: str,  # noqa: ARG003 - securesystemslib's signature
        public_key: Key,  # noqa: ARG003
        secrets_handler: SecretsHandler | None = None,  # noqa: ARG003
    ) -> Signer:
        """Not offered. Raises ValueError."""
        raise ValueError("made from the options of [sign], not from a URI")
