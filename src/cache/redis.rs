//! Limits that several nodes share, in Redis: GCRA in one script, on the server's
//! clock. A server that does not answer within 50 ms is passed over, and this
//! process' own quota holds.

use super::{Meter, Quota, Verdict};
use redis::aio::ConnectionManager;
use redis::{Client, Script};
use std::sync::Mutex;
use std::time::{Duration, Instant};
use tokio::sync::OnceCell;

const DEADLINE: Duration = Duration::from_millis(50);
/// A server that did not answer is not asked again for this long.
const PAUSE: Duration = Duration::from_secs(1);

/// KEYS[1]; ARGV: microseconds for each unit, microseconds of the burst, units.
/// Answers {allowed, remaining, microseconds to wait}. Numbers are kept with %d:
/// Lua's floats would lose digits.
const GCRA: &str = "
local clock = redis.call('TIME')
local now = tonumber(clock[1]) * 1000000 + tonumber(clock[2])
local each, burst, n = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local tat = math.max(tonumber(redis.call('GET', KEYS[1]) or now), now)
local new = tat + each * n
local wait = new - burst - now
if wait > 0 then return {0, 0, wait} end
redis.call('SET', KEYS[1], string.format('%d', new), 'PX', math.ceil((new - now) / 1000) + 1)
return {1, math.floor((burst - (new - now)) / each), 0}
";

/// A connection that comes back by itself, made when first used.
pub struct SharedLimits {
    client: Client,
    manager: OnceCell<ConnectionManager>,
    script: Script,
    /// Passed over until then.
    down_until: Mutex<Option<Instant>>,
}

impl SharedLimits {
    pub fn new(url: &str) -> Result<Self, String> {
        let client = Client::open(url).map_err(|e| format!("cache.url: {e}"))?;
        Ok(Self { client, manager: OnceCell::new(), script: Script::new(GCRA), down_until: Mutex::default() })
    }

    async fn manager(&self) -> redis::RedisResult<ConnectionManager> {
        self.manager.get_or_try_init(|| self.client.get_connection_manager()).await.cloned()
    }

    /// Takes `n`; none where Redis does not answer in time.
    pub async fn take(&self, meter: Meter, key: &str, n: u32, quota: Quota) -> Option<Verdict> {
        let down = *self.down_until.lock().unwrap_or_else(|e| e.into_inner());
        if down.is_some_and(|until| Instant::now() < until) {
            metrics::counter!("doorstep_limits_local_total").increment(1);
            return None;
        }
        let each = 1_000_000 / u64::from(quota.per_second.max(1));
        let key = format!("doorstep:limit:{}:{key}", meter.name());
        let ask = async {
            let mut connection = self.manager().await?;
            let mut call = self.script.key(key);
            call.arg(each).arg(each * u64::from(quota.burst)).arg(n);
            call.invoke_async::<(i64, i64, i64)>(&mut connection).await
        };
        match tokio::time::timeout(DEADLINE, ask).await {
            Ok(Ok((allowed, remaining, wait))) => Some(Verdict {
                allowed: allowed == 1,
                remaining: u32::try_from(remaining).unwrap_or(0),
                retry_after: Duration::from_micros(u64::try_from(wait).unwrap_or(0)),
                quota,
                never: false,
            }),
            _ => {
                *self.down_until.lock().unwrap_or_else(|e| e.into_inner()) = Some(Instant::now() + PAUSE);
                metrics::counter!("doorstep_limits_local_total").increment(1);
                None
            }
        }
    }

    pub async fn ping(&self) -> Result<(), String> {
        let ask = async {
            let mut connection = self.manager().await?;
            redis::cmd("PING").query_async::<String>(&mut connection).await
        };
        match tokio::time::timeout(Duration::from_secs(2), ask).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(e)) => Err(e.to_string()),
            Err(_) => Err("no answer within 2 s".to_owned()),
        }
    }
}
