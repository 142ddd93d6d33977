//! The end of a run: held, or closing what it does not name.

use super::{Completion, Ended, HELD_KEPT, RunKey, SHOWN, SLICE, absent, absent_of, count_absent};
use crate::domain::id::{EventId, PostingId};
use crate::domain::posting::Status;
use crate::domain::time::Moment;
use crate::store::engine::{Sql, StoreError, params};
use crate::store::log::{ChangeKind, Event};
use crate::store::once::{self, Answer, Once};
use crate::store::writer::Tx;
use crate::store::{Store, seats};
use serde_json::{Value, json};
use std::time::Duration;
use uuid::Uuid;

/// Closes those of these postings that still live and are still not named; says
/// how many.
fn close(tx: &mut Tx<'_>, run: i64, ids: &[Uuid], promoted_within: Duration, now: Moment) -> Result<i64, StoreError> {
    let mut closed = 0;
    for id in ids {
        let sql = "UPDATE postings SET declared = 'closed', updated_at = $3 WHERE id = $1 AND status IN ('open', 'paused', 'filled')
           AND NOT EXISTS (SELECT 1 FROM run_records r WHERE r.run = $2 AND r.kind IN (0, 1) AND r.record = postings.source_id)";
        if tx.exec(sql, params![*id, run, now.ms()])? == 1 {
            tx.log.change(ChangeKind::Posting, *id, 0, now);
            closed += i64::from(seats::settle(tx, PostingId::new(*id), now, promoted_within)? == Status::Closed);
        }
    }
    tx.exec("UPDATE runs SET closed = closed + $2, updated_at = $3 WHERE id = $1", params![run, closed, now.ms()])?;
    Ok(closed)
}

/// What was decided of a run that is complete.
enum Decided {
    Close,
    Held(Answer),
    Already,
}

impl Store {
    /// Ends a run: holds it, or closes what it does not name. The answer is kept
    /// under `once` and with the run.
    pub async fn complete_run(
        &self,
        platform: String,
        key: RunKey,
        asked: Completion,
        once: Option<Once>,
        promoted_within: Duration,
        now: Moment,
    ) -> Result<Ended, StoreError> {
        let of = platform.clone();
        let (absent, received) = self
            .read(move |s| {
                let row = s.one("SELECT COUNT(*) FROM run_records WHERE run = $1 AND kind IN (1, 2)", params![key.0])?;
                Ok((count_absent(s, &of, key.0)?, row.map_or(Ok(0), |r| r.int(0))?))
            })
            .await?;
        let (of, vault) = (platform.clone(), self.vault.clone());
        let kept = once.clone();
        let decided = self.write(move |tx| {
            let sql = "SELECT state, live, run FROM runs WHERE id = $1 {for_update}";
            let row = tx.one(sql, params![key.0])?.filter(|r| r.text(0) == Ok("open"));
            let Some(row) = row else { return Ok(Decided::Already) };
            let live = row.int(1)?;
            let miscounted = asked.expected.is_some_and(|n| i64::try_from(n) != Ok(received));
            // The tolerance makes exactly the share of a whole number come out equal.
            let many = absent as f64 > asked.hold_share * live as f64 + 1e-9;
            let reason = if miscounted { Some("expected") } else { many.then_some("hold_share") };
            let mut answer = Answer { status: 200, body: asked.answer.clone() };
            if let Some(reason) = reason {
                let diff = super::absent(tx, &of, key.0, Uuid::nil(), SHOWN)?;
                let diff = diff.iter().map(absent_of).map(|a| a.map(|a| a.body())).collect::<Result<Vec<_>, _>>()?;
                answer.body["held"] = json!({"run": row.text(2)?, "reason": reason, "open": live, "would_close": absent,
                    "hold_share": asked.hold_share, "expected": asked.expected, "received": received, "diff": diff});
                hold(tx, &of, row.text(2)?, reason, now);
            }
            tx.exec(
                "UPDATE runs SET state = $2, updated_at = $3, expected = $4, received = $5, absent = $6, reason = $7, body_mac = $8,
                   answer = $9 WHERE id = $1",
                params![
                    key.0,
                    if reason.is_some() { "held" } else { "applying" },
                    now.ms(),
                    asked.expected.map(|n| i64::try_from(n).unwrap_or(i64::MAX)),
                    received,
                    absent,
                    reason,
                    asked.body_mac.as_slice(),
                    answer.body.to_string()
                ],
            )?;
            if reason.is_none() {
                return Ok(Decided::Close);
            }
            discard_old(tx, &of, now)?;
            if let Some(once) = &kept {
                once::finish(tx, &vault, once, &answer)?;
            }
            Ok(Decided::Held(answer))
        });
        match decided.await? {
            Decided::Held(answer) => Ok(Ended::Answered(answer)),
            Decided::Already => Ok(Ended::Already),
            Decided::Close => self.apply_run(platform, key, once, promoted_within, now).await,
        }
    }

    /// Closes what a decided run does not name, slice by slice, and stores its
    /// answer; for one that has ended, answers what it answered.
    pub async fn apply_run(
        &self,
        platform: String,
        key: RunKey,
        once: Option<Once>,
        promoted_within: Duration,
        now: Moment,
    ) -> Result<Ended, StoreError> {
        let mut after = Uuid::nil();
        loop {
            let of = platform.clone();
            let page = self
                .read(move |s| {
                    let applying = s.one("SELECT 1 FROM runs WHERE id = $1 AND state = 'applying'", params![key.0])?.is_some();
                    if !applying {
                        return Ok(Vec::new());
                    }
                    absent(s, &of, key.0, after, SLICE)?.iter().map(|r| r.uuid(0)).collect::<Result<Vec<_>, _>>()
                })
                .await?;
            let Some(last) = page.last() else { break };
            after = *last;
            self.write(move |tx| close(tx, key.0, &page, promoted_within, now)).await?;
        }
        let vault = self.vault.clone();
        self.write(move |tx| {
            let sql = "SELECT state, answer, closed FROM runs WHERE id = $1 {for_update}";
            let Some(row) = tx.one(sql, params![key.0])? else { return Ok(Ended::Already) };
            let answer = row.opt_text(1)?.and_then(|t| serde_json::from_str::<Value>(t).ok());
            let Some(mut body) = answer else { return Ok(Ended::Already) };
            if row.text(0)? == "applying" {
                // A run that was released had answered as held before, and still does.
                if body["held"].is_null() {
                    body["closed"] = json!(body["closed"].as_i64().unwrap_or(0) + row.int(2)?);
                }
                tx.exec(
                    "UPDATE runs SET state = 'applied', answer = $2, updated_at = $3 WHERE id = $1",
                    params![key.0, body.to_string(), now.ms()],
                )?;
            }
            let answer = Answer { status: 200, body };
            if let Some(once) = &once {
                once::finish(tx, &vault, once, &answer)?;
            }
            Ok(Ended::Answered(answer))
        })
        .await
    }
}

/// Tells the platform that its run is held.
fn hold(tx: &mut Tx<'_>, platform: &str, run: &str, reason: &str, now: Moment) {
    let data = json!({"run": run, "reason": reason, "posting": null, "source_id": null, "sequence": null});
    let id = EventId::new(tx.ids.v7(now));
    tx.log.event(Event { id, platform: platform.to_owned(), kind: "feed.held", at: now, posting: None, data });
}

/// A source that sends half of itself every quarter of an hour must not fill the
/// store with runs that nobody looks at.
fn discard_old(tx: &mut Tx<'_>, platform: &str, now: Moment) -> Result<(), StoreError> {
    tx.exec(
        "UPDATE runs SET state = 'discarded', reason = 'superseded', updated_at = $3 WHERE platform = $1 AND state = 'held'
           AND id NOT IN (SELECT id FROM runs WHERE platform = $1 AND state = 'held' ORDER BY id DESC LIMIT $2)",
        params![platform, HELD_KEPT, now.ms()],
    )
    .map(|_| ())
}
