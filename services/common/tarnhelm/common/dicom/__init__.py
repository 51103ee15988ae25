"""DICOM at the level of bytes: what the metadata, ocr and imaging services all need."""
