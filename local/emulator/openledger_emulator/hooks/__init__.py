"""One module per hook into MiniStack. Each names what it needs of MiniStack through `seam.need`."""
