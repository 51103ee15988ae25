"""The life of a link: merged, split, withdrawn, destroyed, backed up; never opened."""
