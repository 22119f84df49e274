//! Empty: all of it is in `tests`.
