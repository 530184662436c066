//! When the database is slow, locked, or gone.
