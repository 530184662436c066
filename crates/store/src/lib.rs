//! What an operator decided through the API, kept: SQLite on one machine, PostgreSQL for many.
