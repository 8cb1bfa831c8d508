"""What a person reads and looks at: tables, pictures, and the report of a run."""
