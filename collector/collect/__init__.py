"""From configuration to segments and ledger: planning, asking, writing down."""
