"""Client code of the Tessera API, generated from `proto/`."""
