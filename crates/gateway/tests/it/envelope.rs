//! Vectors 27 to 36.
