"""The documents a person can open: dataset.yaml, fingerprint.json, plan.yaml, decoder.json and scores.json."""
