"""One module for each step of a slice's tables: SLICE_NNNN. A step that was released is never changed."""
