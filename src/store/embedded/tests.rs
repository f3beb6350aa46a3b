//! What only the file can get wrong.
