"""Contract suites and fakes for whoever extends Edgewright; nothing that ships imports this."""
