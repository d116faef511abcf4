//! Record batches (magic 2) and how they are checked, edited, iterated and built.
