//! Checks of the whole, from outside.

mod normalize;
