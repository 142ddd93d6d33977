//! `doorstep bench ingest`: postings a second through HTTP → adapter → normalize →
//! committed, beside the same rows' bare insert into the same store and the bare
//! parsing of the same bodies.

use super::place::Place;
use super::{anonymous_memory, load_average, millis, percentile, rate};
use crate::adapter::Outcome;
use crate::domain::client::Role;
use crate::domain::normalize;
use crate::domain::time::Moment;
use crate::outbound::ApiClient;
use crate::store::engine::{Sql, params};
use crate::store::ids::Ids;
use crate::store::names::Names;
use crate::store::postings::Prepared;
use crate::store::writer::Writer;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// What is measured.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Postings for each batch size.
    pub postings: usize,
    pub batches: Vec<usize>,
    /// An embedded store of its own where none is named.
    pub store: Option<String>,
    /// Route, too, as a gateway with all roles does.
    pub routing: bool,
}

/// Rows of one transaction, as the gateway slices them.
const SLICE: usize = 500;
/// Bytes to records, one core: measured on so many.
const READ: usize = 20_000;

/// Pushes that are under way at once: small ones share a commit, large ones keep
/// the reading and the writing core busy.
fn parallel(batch: usize) -> usize {
    match batch {
        0..=9 => 64,
        10..=999 => 8,
        _ => 3,
    }
}

const PLACES: [&str; 8] = [
    "浙江省宁波市鄞州区",
    "广东省深圳市龙岗区",
    "湖北省武汉市江夏区",
    "江苏省苏州市昆山市",
    "四川省成都市双流区",
    "上海市浦东新区",
    "福建省泉州市晋江市",
    "重庆市渝北区",
];
const TITLES: [&str; 8] =
    ["外卖骑手（专送）", "众包骑手", "闪购拣货骑手", "夜宵配送员", "站点骑手（包住）", "同城急送骑手", "专送骑手（长期）", "周末兼职骑手"];
const WAGES: [&str; 6] = ["综合月薪5000-8000元/月", "6千-9千", "4500-6500元/月", "0.7-1万/月", "底薪3000+提成", "8000以上"];

/// Body of a push in the format of a meal-delivery platform: invented, about 700
/// bytes for each posting.
fn body(first: usize, n: usize) -> Vec<u8> {
    use std::io::Write;
    let mut out = Vec::with_capacity(n * 800 + 64);
    out.extend_from_slice(r#"{"code":0,"data":{"positions":["#.as_bytes());
    for i in first..first + n {
        if i > first {
            out.push(b',');
        }
        let (place, title, wage) = (PLACES[i % 8], TITLES[i / 3 % 8], WAGES[i / 5 % 6]);
        let (province, rest) = place.split_at(place.char_indices().nth(3).map_or(0, |(at, _)| at));
        // Writing to a vector does not fail.
        let _ = write!(
            out,
            r#"{{"positionId":"B-{i:08}","positionName":"{title}","jobDesc":"<p>负责站点三公里内的配送，<b>提供电动车</b>，新手有师傅带。</p><p>每周结算，五险一金，站点编号{i}。</p>","province":"{province}","city":"{rest}","station":{{"company":"示例配送服务{}号站","address":"示例路{}号"}},"pay":{{"mode":"MIXED","perOrderMin":5.5,"perOrderMax":8,"monthlyText":"{wage}"}},"headcount":"{}人","employType":"FULL","ageRange":"18-50","healthCert":true,"benefits":["住宿","餐补","岗前培训"],"publishTime":"2026-01-02T08:00:00+08:00","expireDate":"2099-06-30","detailUrl":"https://jobs.example.com/positions/B-{i:08}","state":1}}"#,
            i % 5000,
            i % 300,
            i % 30 + 1,
        );
    }
    out.extend_from_slice(b"]}}");
    out
}

/// Measures and prints.
pub async fn run(plan: Plan) -> Result<(), String> {
    println!("postings through HTTP, adapter and normalizer into the store, committed; load average {}", load_average());
    let place = Place::start(plan.store.as_deref(), plan.routing, |_| {}).await?;
    println!("store {}, routing {}\n", place.gateway.state.store.engine_name(), if plan.routing { "beside it" } else { "off" });
    let adapter = place.gateway.state.adapters.get("meituan").cloned().ok_or("the adapter meituan is not there")?;
    let (api, token) = place.client(Role::Platform, "bench", "meituan").await?;
    let bare = Bare::open(&place.url).await?;
    println!(
        "{:>7} {:>9} {:>12} {:>9} {:>9} {:>14} {:>7} {:>12} {:>7} {:>12} {:>7} {:>9}",
        "batch",
        "postings",
        "postings/s",
        "p50 ms",
        "p99 ms",
        "bare insert/s",
        "ratio",
        "bare parse/s",
        "ratio",
        "read/s, core",
        "ratio",
        "MiB"
    );
    let (mut next, mut stages) = (0, Stages::default());
    for batch in plan.batches {
        // One posting for each push is measured on fewer of them.
        let n = if batch < 10 { plan.postings.div_ceil(10) } else { plan.postings }.max(batch);
        let pushed = push_all(&api, &token, next, n, batch).await?;
        let memory = anonymous_memory();
        let prepared = prepared(&adapter, next, n.min(READ), batch)?;
        let inserted = bare.insert_all(&prepared.rows, next, n, batch).await?;
        let parsed = parse_all(next, n.min(READ), batch)?;
        let http = rate(n, pushed.took);
        println!(
            "{batch:>7} {n:>9} {http:>12.0} {:>9.1} {:>9.1} {inserted:>14.0} {:>6.0}% {parsed:>12.0} {:>6.1}% {:>12.0} {:>6.0}% {:>9.0}",
            millis(percentile(&pushed.each, 0.5)),
            millis(percentile(&pushed.each, 0.99)),
            100.0 * http / inserted,
            100.0 * http / parsed,
            prepared.rate,
            100.0 * http / prepared.rate,
            memory.unwrap_or_default(),
        );
        next += n;
        stages = prepared.stages;
    }
    println!("\nbare insert: the same rows into one table without log, work, hash or second index, by the same group-commit writer;");
    println!("{}", stages.told());
    println!(
        "bare parse: the same bodies as JSON values on one core; read: adapter, normalizer and hash on one core. Load average {}.",
        load_average()
    );
    drop(place.stop().await);
    Ok(())
}

struct Pushed {
    took: Duration,
    /// Sorted.
    each: Vec<Duration>,
}

/// Pushes `n` new postings in batches, several at once.
async fn push_all(api: &ApiClient, token: &str, first: usize, n: usize, batch: usize) -> Result<Pushed, String> {
    let at = Arc::new(AtomicUsize::new(0));
    let started = Instant::now();
    let pushers = (0..parallel(batch)).map(|_| {
        let (api, token, at) = (api.clone(), token.to_owned(), at.clone());
        async move {
            let mut each = Vec::new();
            loop {
                let from = at.fetch_add(batch, Ordering::Relaxed);
                if from >= n {
                    return Ok::<_, String>(each);
                }
                let size = batch.min(n - from);
                let body = body(first + from, size);
                let sent = Instant::now();
                let answer = api.call("POST", "/v1/postings", Some(&token), Some(("application/json", body))).await;
                let answer = answer.map_err(|e| e.to_string())?;
                each.push(sent.elapsed());
                if answer.status != 200 || answer.json()["created"] != size {
                    return Err(format!("a push answered {}: {}", answer.status, answer.json()));
                }
            }
        }
    });
    // Tasks of their own, so that they are polled beside the server's.
    let tasks: Vec<_> = pushers.map(tokio::task::spawn_local).collect();
    let mut each = Vec::new();
    for task in tasks {
        each.extend(task.await.map_err(|e| e.to_string())??);
    }
    each.sort_unstable();
    Ok(Pushed { took: started.elapsed(), each })
}

struct Read {
    rows: Arc<Vec<Prepared>>,
    rate: f64,
    stages: Stages,
}

/// Where the reading core's time goes, for each posting.
#[derive(Default)]
struct Stages {
    map: Duration,
    normalize: Duration,
    prepare: Duration,
    n: u32,
}

impl Stages {
    fn told(&self) -> String {
        let micros = |span: Duration| span.as_secs_f64() * 1e6 / f64::from(self.n.max(1));
        let (map, normalize, prepare) = (micros(self.map), micros(self.normalize), micros(self.prepare));
        format!("of the reading core, µs a posting: cut and map {map:.1}, normalize {normalize:.1}, hash and write {prepare:.1}")
    }
}

/// The rows as the gateway would store them, and how fast one core makes them.
fn prepared(adapter: &crate::adapter::Adapter, first: usize, n: usize, batch: usize) -> Result<Read, String> {
    let today = Moment::start_of(jiff::civil::date(2026, 1, 2)).day();
    let bodies: Vec<Vec<u8>> = (0..n).step_by(batch).map(|from| body(first + from, batch.min(n - from))).collect();
    let mut rows = Vec::with_capacity(n);
    let mut stages = Stages { n: u32::try_from(n).unwrap_or(u32::MAX), ..Stages::default() };
    let started = Instant::now();
    for body in &bodies {
        let began = Instant::now();
        let mut values = Vec::with_capacity(batch);
        for record in adapter.read(body).map_err(|e| e.to_string())? {
            let Outcome::Mapped(value) = record.outcome else { return Err(format!("a record was not read: {:?}", record.outcome)) };
            values.push(value);
        }
        let mapped = Instant::now();
        let contents = values.iter().map(|value| normalize::posting(value, today)).collect::<Result<Vec<_>, _>>();
        let contents = contents.map_err(|faults| format!("{faults:?}"))?;
        let normalized = Instant::now();
        rows.extend(contents.into_iter().zip(&values).map(|(content, value)| crate::ingest::prepare(content, value)));
        stages.map += mapped - began;
        stages.normalize += normalized - mapped;
        stages.prepare += normalized.elapsed();
    }
    let rate = rate(rows.len(), started.elapsed());
    Ok(Read { rows: Arc::new(rows), rate, stages })
}

fn parse_all(first: usize, n: usize, batch: usize) -> Result<f64, String> {
    let bodies: Vec<Vec<u8>> = (0..n).step_by(batch).map(|from| body(first + from, batch.min(n - from))).collect();
    let started = Instant::now();
    for body in &bodies {
        let value: serde_json::Value = serde_json::from_slice(body).map_err(|e| e.to_string())?;
        std::hint::black_box(value);
    }
    Ok(rate(n, started.elapsed()))
}

/// A table beside the gateway's, written by a writer of the same kind.
struct Bare {
    writer: Writer,
    ids: Arc<Ids>,
}

impl Bare {
    async fn open(url: &str) -> Result<Self, String> {
        let (url, ids) = (url.to_owned(), Arc::new(Ids::from_os()));
        let (of_writer, names) = (ids.clone(), Names::new(&ids.bytes()));
        let open = move || Writer::start(crate::store::engine_of(&url)?, of_writer, names, 3);
        let writer = tokio::task::spawn_blocking(open).await.map_err(|e| e.to_string())?.map_err(|e| e.to_string())?;
        let made = writer.write(|tx| {
            tx.batch(
                "DROP TABLE IF EXISTS bench_rows;
                 CREATE TABLE bench_rows (id {blob} PRIMARY KEY, platform TEXT NOT NULL, source_id TEXT NOT NULL, content TEXT NOT NULL,
                   content_hash {blob} NOT NULL, group_key {blob} NOT NULL, declared TEXT NOT NULL, status TEXT NOT NULL,
                   closes_at BIGINT NOT NULL, total_declared BIGINT NOT NULL, openings BIGINT NOT NULL, created_at BIGINT NOT NULL,
                   updated_at BIGINT NOT NULL, UNIQUE (platform, source_id))",
            )
        });
        made.await.map_err(|e| e.to_string())?;
        Ok(Self { writer, ids })
    }

    /// Inserts `n` rows in the gateway's slices with as many callers at once; rows
    /// a second.
    async fn insert_all(&self, rows: &Arc<Vec<Prepared>>, first: usize, n: usize, batch: usize) -> Result<f64, String> {
        let size = batch.min(SLICE);
        let at = Arc::new(AtomicUsize::new(0));
        let started = Instant::now();
        let inserters = (0..parallel(batch)).map(|_| {
            let (writer, ids, rows, at) = (self.writer.clone(), self.ids.clone(), rows.clone(), at.clone());
            async move {
                loop {
                    let from = at.fetch_add(size, Ordering::Relaxed);
                    if from >= n {
                        return Ok::<_, String>(());
                    }
                    let (rows, ids, upto) = (rows.clone(), ids.clone(), n.min(from + size));
                    let done = writer.write(move |tx| (from..upto).try_for_each(|i| insert(tx, &ids, &rows[i % rows.len()], first + i)));
                    done.await.map_err(|e| e.to_string())?;
                }
            }
        });
        for task in inserters.map(tokio::task::spawn_local).collect::<Vec<_>>() {
            task.await.map_err(|e| e.to_string())??;
        }
        Ok(rate(n, started.elapsed()))
    }
}

fn insert(s: &mut dyn Sql, ids: &Ids, p: &Prepared, n: usize) -> Result<(), crate::store::StoreError> {
    let now = p.closes_at;
    s.exec(
        "INSERT INTO bench_rows (id, platform, source_id, content, content_hash, group_key, declared, status, closes_at, total_declared,
           openings, created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $10, $11, $11)",
        params![
            ids.v7(now),
            "bench",
            format!("B-{n:08}"),
            p.json.as_str(),
            p.hash.as_slice(),
            p.group.as_slice(),
            "open",
            "open",
            p.closes_at.ms(),
            p.content.total_job_openings,
            now.ms()
        ],
    )
    .map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_pushed_can_be_read_whole() {
        let adapters = crate::adapter::Adapters::builtin().unwrap();
        let read = prepared(adapters.get("meituan").unwrap(), 0, 50, 20).unwrap();
        assert_eq!(read.rows.len(), 50);
        assert!(read.rows.iter().all(|p| p.content.job_location.region.is_some_and(|r| r.is_leaf())), "every place is a county");
        assert!(read.rows.iter().filter(|p| p.content.base_salary.min.is_some()).count() >= 50);
    }
}
