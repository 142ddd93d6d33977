//! Names of places to divisions.

use crate::domain::region::{Region, RegionFault};

/// The division that a registry's text names.
pub fn resolve_name(text: &str) -> Result<Region, RegionFault> {
    match Region::all().find(|r| r.full_name() == text) {
        Some(region) => Ok(region),
        None => Err(RegionFault::Unknown),
    }
}
