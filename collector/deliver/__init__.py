"""From a sealed bundle to its sinks: lock, series, outbox."""

__all__: list[str] = []
