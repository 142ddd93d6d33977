//! `doorstep bench rosters`: one roster of many lines against a registry of many
//! people, from the body to the last commit, on a real store.

use super::hired::{folding, terms};
use super::people::{Nation, TODAY};
use super::place::Place;
use super::registry::{register, registration};
use super::{anonymous_memory, load_average};
use crate::app::FOLD_CELLS;
use crate::domain::time::Moment;
use crate::hiring::rosters::{RosterBatch, RosterRules};
use serde_json::json;
use std::sync::Arc;
use std::time::Instant;

/// What is measured.
#[derive(Clone, Debug)]
pub struct Plan {
    pub lines: u32,
    pub workers: u32,
    /// The share of lines that name somebody registered.
    pub known: f64,
    /// An embedded store of its own where none is named.
    pub store: Option<String>,
}

/// Measures and prints.
pub async fn run(plan: Plan) -> Result<(), String> {
    println!("a roster of {} lines against {} workers; load average {}", plan.lines, plan.workers, load_average());
    let nation = Arc::new(Nation::new(2026, 0.0));
    let place = Place::start(plan.store.as_deref(), false, |_| {}).await?;
    let state = place.gateway.state.clone();
    register(&state.store, &nation, plan.workers).await?;
    let mut body = Vec::new();
    let mut known = 0u64;
    for n in 0..plan.lines {
        // Known people lie all over the registry, strangers beyond its end.
        let is_known = f64::from(n % 1000) < plan.known * 1000.0 && plan.workers > 0;
        let spread = (u64::from(n) * u64::from(plan.workers) / u64::from(plan.lines.max(1))) as u32;
        let of = if is_known { 1 + spread } else { plan.workers + 1 + n };
        known += u64::from(is_known);
        let row = registration(&nation.seeker(of)).ok_or("an invented id number is none")?;
        let line = json!({"id_number": row.id_number.expose(), "platform_worker_id": format!("R-{n}"), "since": TODAY.to_string(), "work_region": "330212"});
        body.extend_from_slice(line.to_string().as_bytes());
        body.push(b'\n');
    }
    println!("{} MiB, {known} lines of registered people", body.len() >> 20);
    let body = Arc::new(body);
    for round in ["first", "again"] {
        let terms = terms("bench".to_owned());
        let rules = RosterRules { min_lines: 1, per_day: u32::MAX };
        let began = Instant::now();
        let batch = RosterBatch { terms, client: uuid::Uuid::nil(), body: body.clone(), once: None, rules };
        let roster = state.hiring.roster(batch, Moment::start_of(TODAY));
        let answer = folding(&state, FOLD_CELLS, roster).await?.map_err(|e| format!("{e:?}"))?.body;
        let took = began.elapsed().as_secs_f64();
        println!(
            "{round}: {took:.1} s, {:.0} lines/s, matched {}, already {}, {:.0} MiB",
            f64::from(plan.lines) / took,
            answer["matched"],
            answer["already"],
            anonymous_memory().unwrap_or_default()
        );
        // A small registry is named more than once: then the second line is `already`.
        let sum = answer["matched"].as_u64().unwrap_or(0) + answer["already"].as_u64().unwrap_or(0);
        if sum != known || (round == "again" && answer["matched"] != 0) {
            return Err(format!("{known} lines are of registered people: {answer}"));
        }
    }
    println!("load average {}", load_average());
    drop(place.stop().await);
    Ok(())
}
