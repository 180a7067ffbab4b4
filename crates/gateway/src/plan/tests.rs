//! What a settings file may say, and what is refused.
