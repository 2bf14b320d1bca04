"""The public contract suites: one class a protocol, run over every implementation. Imports protocols only."""
