"""The PSEUDO classes, one file each; ``registry`` finds them."""
