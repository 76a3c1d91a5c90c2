"""Tests, by how much is real: unit, property, conformance, integration, faults, acceptance, ui, style."""
