"""The rewriter: two walks over a bounded header, pixel data streamed past."""
