"""What producers of the topic ``ingest`` and its door have in common: records, signatures, sealing."""
