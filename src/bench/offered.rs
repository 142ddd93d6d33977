//! Postings over HTTP, and offers of them to people who were chosen beforehand.

use super::text;
use crate::domain::grounds::Grounds;
use crate::domain::id::{OfferId, PostingId};
use crate::domain::time::Moment;
use crate::outbound::ApiClient;
use crate::store::Store;
use crate::store::waves::{Candidate, Wave, WaveTerms};
use serde_json::json;
use std::time::Duration;

/// Postings of one push.
const BATCH: u32 = 1_000;
/// Offers of one transaction.
const SLICE: usize = 400;

/// Pushes so many postings, each of its own employer, under these ids.
pub async fn push(api: &ApiClient, token: &str, postings: u32, openings: u32, source: impl Fn(u32) -> String) -> Result<(), String> {
    for first in (0..postings).step_by(BATCH as usize) {
        let batch: Vec<_> = (first..postings.min(first + BATCH))
            .map(|n| {
                let title = format!("示例岗位 {}", source(n));
                json!({"source_id": source(n), "title": title, "category": "delivery_rider", "total_job_openings": openings,
                    "job_location": {"region": "330212"}, "valid_through": "2099-01-01", "hiring_organization": {"name": source(n)}})
            })
            .collect();
        let body = serde_json::to_vec(&batch).map_err(text)?;
        let answer = api.call("POST", "/v1/postings", Some(token), Some(("application/json", body))).await.map_err(text)?;
        if answer.json()["created"] != batch.len() {
            return Err(format!("a push answered {}: {}", answer.status, answer.json()));
        }
    }
    Ok(())
}

/// Offers a posting to people, by their handles; the offers that were made.
pub async fn offer(store: &Store, posting: PostingId, people: &[u32], now: Moment) -> Result<Vec<(OfferId, u32)>, String> {
    let grounds = Grounds::parse("1;;30;2;330000;6000;4000").ok_or("no grounds")?;
    let day = Duration::from_secs(86_400);
    let terms = WaveTerms { overbook: 2.0, wave_max: u32::MAX, cap: u32::MAX, answer_within: day, recheck: day };
    let mut offered = Vec::new();
    for part in people.chunks(SLICE) {
        let candidates = part.iter().map(|handle| Candidate { handle: *handle, grounds, reserved: false }).collect();
        let wave = Wave { posting, lease: None, candidates, exhausted: false, more: false };
        let issued = store.issue_offers(vec![wave], terms, now).await.map_err(text)?;
        offered.extend(issued.into_iter().flat_map(|issued| issued.offered));
    }
    Ok(offered)
}
