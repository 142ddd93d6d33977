//! What the demonstration shows itself on: invented people, and nobody else.

pub mod registry;
