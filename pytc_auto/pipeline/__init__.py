"""The verbs as plain functions. They hand each stage the callables it needs of another."""
