"""What cleaning metadata means, as a library without network or broker."""
