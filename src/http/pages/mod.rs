//! Pages rendered on the server: no script is needed, none comes from elsewhere.

use actix_web::web::ServiceConfig;

pub fn routes(_cfg: &mut ServiceConfig) {}
