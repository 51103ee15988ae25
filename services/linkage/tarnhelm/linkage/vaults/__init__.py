"""Where root keys live: the seam (`base`) and the form for one machine (`local`)."""
