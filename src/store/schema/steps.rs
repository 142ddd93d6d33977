//! The steps by which the tables came to be what they are, each run once, in the order in
//! which [`migrate`](super::migrate) lists them; none is changed once a release held it.

pub(super) const FOUNDATION: &str = "
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE counters (name TEXT PRIMARY KEY, value BIGINT NOT NULL);
INSERT INTO counters (name, value) VALUES ('worker_handle', 0);

CREATE TABLE clients (
  id {blob} PRIMARY KEY, role TEXT NOT NULL, name TEXT NOT NULL, region BIGINT NOT NULL, adapter TEXT NOT NULL,
  secret_mac {blob} NOT NULL, created_at BIGINT NOT NULL, revoked_at BIGINT);

CREATE TABLE postings (
  id {blob} PRIMARY KEY, platform TEXT NOT NULL, source_id TEXT NOT NULL,
  content TEXT NOT NULL, content_hash {blob} NOT NULL, group_key {blob} NOT NULL,
  declared TEXT NOT NULL, status TEXT NOT NULL, closes_at BIGINT NOT NULL,
  total_declared BIGINT NOT NULL, openings BIGINT NOT NULL, taken BIGINT NOT NULL DEFAULT 0,
  revision BIGINT NOT NULL DEFAULT 1, sequence BIGINT NOT NULL DEFAULT 0, queue BIGINT NOT NULL DEFAULT 0,
  wave BIGINT NOT NULL DEFAULT 0, short BIGINT NOT NULL DEFAULT 1,
  created_at BIGINT NOT NULL, updated_at BIGINT NOT NULL,
  UNIQUE (platform, source_id), CHECK (taken >= 0 AND taken <= openings));
CREATE INDEX postings_by_status ON postings (status, closes_at);
CREATE TABLE waves (
  posting {blob} NOT NULL, wave BIGINT NOT NULL, at BIGINT NOT NULL, wanted BIGINT NOT NULL, offered BIGINT NOT NULL,
  PRIMARY KEY (posting, wave));

CREATE TABLE workers (
  id {blob} PRIMARY KEY, handle BIGINT NOT NULL UNIQUE, blind {blob} UNIQUE, blind_next {blob} UNIQUE,
  id_sealed {blob}, name_sealed {blob}, phone_sealed {blob},
  home BIGINT NOT NULL, birth BIGINT NOT NULL, tier TEXT NOT NULL, relocated BIGINT NOT NULL DEFAULT 0,
  categories BIGINT NOT NULL DEFAULT 0, destinations TEXT NOT NULL DEFAULT '', in_place_only BIGINT NOT NULL DEFAULT 0,
  min_monthly_pay BIGINT NOT NULL DEFAULT 0, require_stated_pay BIGINT NOT NULL DEFAULT 0, skills BIGINT NOT NULL DEFAULT 0,
  seeking_since BIGINT NOT NULL, looking BIGINT NOT NULL DEFAULT 1, paused BIGINT NOT NULL DEFAULT 0,
  consent_on BIGINT, cooling_until BIGINT NOT NULL DEFAULT 0, displaced_until BIGINT NOT NULL DEFAULT 0,
  version BIGINT NOT NULL DEFAULT 1, registered_at BIGINT NOT NULL, updated_at BIGINT NOT NULL, erased_at BIGINT);
CREATE INDEX workers_by_home ON workers (home);
CREATE TABLE tiers (
  worker {blob} NOT NULL, since BIGINT NOT NULL, recorded_at BIGINT NOT NULL, tier TEXT NOT NULL,
  PRIMARY KEY (worker, since, recorded_at));
CREATE TABLE homes (
  worker {blob} NOT NULL, since BIGINT NOT NULL, recorded_at BIGINT NOT NULL, region BIGINT NOT NULL,
  PRIMARY KEY (worker, since, recorded_at));
CREATE TABLE pseudonyms (
  platform TEXT NOT NULL, worker {blob} NOT NULL, pseudonym {blob} NOT NULL UNIQUE, PRIMARY KEY (platform, worker));
CREATE TABLE links (
  hash {blob} PRIMARY KEY, worker {blob} NOT NULL, created_at BIGINT NOT NULL, expires_at BIGINT NOT NULL, revoked_at BIGINT);
CREATE INDEX links_by_worker ON links (worker);

CREATE TABLE offers (
  id {blob} PRIMARY KEY, posting {blob} NOT NULL, worker {blob} NOT NULL, platform TEXT NOT NULL,
  state TEXT NOT NULL, wave BIGINT NOT NULL, reasons TEXT NOT NULL, group_key {blob} NOT NULL,
  offered_at BIGINT NOT NULL, expires_at BIGINT NOT NULL, seen_at BIGINT, answered_at BIGINT, accepted_at BIGINT, updated_at BIGINT NOT NULL,
  waiting BIGINT, promoted BIGINT NOT NULL DEFAULT 0, share_contact BIGINT NOT NULL DEFAULT 0,
  reason TEXT, answered_by TEXT, method TEXT,
  UNIQUE (posting, worker), UNIQUE (worker, group_key));
CREATE INDEX offers_by_posting ON offers (posting, state);
CREATE INDEX offers_by_group ON offers (group_key);
CREATE INDEX offers_unanswered ON offers (expires_at) WHERE state IN ('offered', 'seen');

CREATE TABLE hires (
  id {blob} PRIMARY KEY, platform TEXT NOT NULL, posting {blob} NOT NULL, worker {blob} NOT NULL, offer {blob},
  source TEXT NOT NULL, status TEXT NOT NULL, hired_at BIGINT NOT NULL, started_on BIGINT, ended_on BIGINT, end_reason TEXT,
  home BIGINT NOT NULL, work BIGINT, work_coarse BIGINT NOT NULL, flow TEXT NOT NULL, category TEXT NOT NULL,
  tags TEXT NOT NULL, platform_worker_id TEXT, created_at BIGINT NOT NULL, updated_at BIGINT NOT NULL);
CREATE INDEX hires_by_worker ON hires (worker);
CREATE INDEX hires_by_pair ON hires (platform, posting, worker);
CREATE TABLE hire_facts (
  seq {serial}, hire {blob}, platform TEXT NOT NULL, posting {blob} NOT NULL, worker {blob} NOT NULL,
  kind TEXT NOT NULL, at BIGINT NOT NULL, month BIGINT NOT NULL DEFAULT 0, raw_status TEXT, wage BIGINT, work BIGINT,
  reason TEXT, method TEXT, by_whom TEXT, received_at BIGINT NOT NULL,
  UNIQUE (platform, posting, worker, kind, at, month));
CREATE INDEX hire_facts_by_hire ON hire_facts (hire);

CREATE TABLE changes (seq {serial}, kind TEXT NOT NULL, id {blob} NOT NULL, version BIGINT NOT NULL, at BIGINT NOT NULL);
CREATE TABLE events (
  seq {serial}, id {blob} NOT NULL UNIQUE, platform TEXT NOT NULL, type TEXT NOT NULL, at BIGINT NOT NULL, posting {blob}, data TEXT NOT NULL);
CREATE INDEX events_by_platform ON events (platform, seq);
CREATE TABLE ledger (
  seq {serial}, at BIGINT NOT NULL, kind TEXT NOT NULL, worker {blob} NOT NULL, hire {blob}, leaf TEXT NOT NULL, salt {blob} NOT NULL);

CREATE TABLE endpoints (
  id {blob} PRIMARY KEY, platform TEXT NOT NULL, url TEXT NOT NULL, types TEXT NOT NULL, secret_sealed {blob} NOT NULL,
  previous_sealed {blob}, previous_until BIGINT, enabled BIGINT NOT NULL DEFAULT 1, failing_since BIGINT, created_at BIGINT NOT NULL,
  removed_at BIGINT);
CREATE INDEX endpoints_by_platform ON endpoints (platform);
CREATE TABLE deliveries (
  endpoint {blob} NOT NULL, event {blob} NOT NULL, state TEXT NOT NULL, due_at BIGINT NOT NULL, tries BIGINT NOT NULL DEFAULT 0,
  fence BIGINT NOT NULL DEFAULT 0, PRIMARY KEY (endpoint, event));
CREATE INDEX deliveries_due ON deliveries (due_at) WHERE state = 'due';
CREATE TABLE attempts (
  seq {serial}, endpoint {blob} NOT NULL, event {blob} NOT NULL, at BIGINT NOT NULL, status BIGINT, error TEXT);
CREATE INDEX attempts_by_endpoint ON attempts (endpoint, seq);

CREATE TABLE work (
  kind TEXT NOT NULL, key {blob} NOT NULL, due_at BIGINT NOT NULL, fence BIGINT NOT NULL DEFAULT 0, PRIMARY KEY (kind, key));
CREATE INDEX work_due ON work (kind, due_at);

CREATE TABLE idempotency (
  client {blob} NOT NULL, key TEXT NOT NULL, body_mac {blob} NOT NULL, state TEXT NOT NULL, lease_until BIGINT NOT NULL,
  progress TEXT NOT NULL DEFAULT '', status BIGINT, answer_sealed {blob}, created_at BIGINT NOT NULL, PRIMARY KEY (client, key));
CREATE TABLE access_log (
  seq {serial}, at BIGINT NOT NULL, client TEXT NOT NULL, action TEXT NOT NULL, worker {blob}, fields TEXT NOT NULL, reason TEXT NOT NULL);
CREATE TABLE alerts (
  id {blob} PRIMARY KEY, kind TEXT NOT NULL, region BIGINT NOT NULL, at BIGINT NOT NULL, worker {blob}, posting {blob},
  detail TEXT NOT NULL, resolved_at BIGINT, note TEXT);
CREATE INDEX alerts_by_region ON alerts (region);
";

/// Runs of full feeds, and which records each of them brought: kind 0 was pushed
/// beside the run, 1 came in it under an id, 2 came in it and could not be named.
pub(super) const FULL_FEEDS: &str = "
CREATE TABLE runs (
  id {serial}, platform TEXT NOT NULL, run TEXT NOT NULL, state TEXT NOT NULL, started_at BIGINT NOT NULL, updated_at BIGINT NOT NULL,
  live BIGINT NOT NULL, created BIGINT NOT NULL DEFAULT 0, updated BIGINT NOT NULL DEFAULT 0, unchanged BIGINT NOT NULL DEFAULT 0,
  expected BIGINT, received BIGINT, absent BIGINT, closed BIGINT NOT NULL DEFAULT 0, reason TEXT, body_mac {blob}, answer TEXT,
  swept BIGINT NOT NULL DEFAULT 0, UNIQUE (platform, run));
CREATE INDEX runs_pending ON runs (platform, id) WHERE state IN ('open', 'held', 'applying');
CREATE INDEX runs_over ON runs (id) WHERE swept = 0 AND state IN ('applied', 'discarded');
CREATE TABLE run_records (
  run BIGINT NOT NULL, kind BIGINT NOT NULL, record TEXT NOT NULL, PRIMARY KEY (run, kind, record));
";

/// Postings that an operator must look at before they are routed, and groups of
/// the same work, which may be split for good.
pub(super) const REVIEWS: &str = "
ALTER TABLE postings ADD COLUMN review TEXT NOT NULL DEFAULT '';
ALTER TABLE postings ADD COLUMN review_key {blob};
UPDATE postings SET review = 'held' WHERE content LIKE '%\"fraud_words\"%';
CREATE INDEX postings_held ON postings (id) WHERE review = 'held';
ALTER TABLE postings ADD COLUMN fingerprint {blob};
UPDATE postings SET fingerprint = group_key;
CREATE INDEX postings_by_fingerprint ON postings (fingerprint);
CREATE TABLE split_groups (fingerprint {blob} PRIMARY KEY, at BIGINT NOT NULL, client TEXT NOT NULL, reason TEXT NOT NULL);
";

/// Feeds that are fetched: who is at one, how far a pull came, how the last ones went.
pub(super) const PULLS: &str = "
CREATE TABLE feeds (
  name TEXT PRIMARY KEY, fingerprint {blob} NOT NULL, due_at BIGINT NOT NULL, fence BIGINT NOT NULL DEFAULT 0,
  lease_until BIGINT NOT NULL DEFAULT 0, run TEXT, page BIGINT NOT NULL DEFAULT 0, next TEXT, totals TEXT, started_at BIGINT,
  etag TEXT, last_modified TEXT, read_at BIGINT, good_at BIGINT, good TEXT,
  failed_at BIGINT, error TEXT, failures BIGINT NOT NULL DEFAULT 0);
";

/// What an operator sees of a feed beside that: the last good answer's status, and
/// how its host stands.
pub(super) const PULLS_SEEN: &str = "
ALTER TABLE feeds ADD COLUMN good_status BIGINT;
ALTER TABLE feeds ADD COLUMN breaker TEXT NOT NULL DEFAULT 'closed';
ALTER TABLE feeds ADD COLUMN quiet_until BIGINT;
";

/// Tiers and homes of a person under the handle, which grows: a registry is then
/// appended, where random ids would touch every page of an index.
pub(super) const HISTORY_BY_HANDLE: &str = "
ALTER TABLE tiers RENAME TO tiers_by_id;
CREATE TABLE tiers (
  worker BIGINT NOT NULL, since BIGINT NOT NULL, recorded_at BIGINT NOT NULL, tier TEXT NOT NULL,
  PRIMARY KEY (worker, since, recorded_at)) {clustered};
INSERT INTO tiers SELECT w.handle, t.since, t.recorded_at, t.tier FROM tiers_by_id t JOIN workers w ON w.id = t.worker ORDER BY w.handle;
DROP TABLE tiers_by_id;
ALTER TABLE homes RENAME TO homes_by_id;
CREATE TABLE homes (
  worker BIGINT NOT NULL, since BIGINT NOT NULL, recorded_at BIGINT NOT NULL, region BIGINT NOT NULL,
  PRIMARY KEY (worker, since, recorded_at)) {clustered};
INSERT INTO homes SELECT w.handle, h.since, h.recorded_at, h.region FROM homes_by_id h JOIN workers w ON w.id = h.worker ORDER BY w.handle;
DROP TABLE homes_by_id;
";

/// Offers under the worker's handle, which is smaller than the id and enough to say
/// whom a posting excludes; in the order of their ids, which grow, and with the
/// indexes that making and answering them needs and no other.
pub(super) const OFFERS_BY_HANDLE: &str = "
ALTER TABLE offers RENAME TO offers_by_id;
CREATE TABLE offers (
  id {blob} PRIMARY KEY, posting {blob} NOT NULL, handle BIGINT NOT NULL, worker {blob} NOT NULL, platform TEXT NOT NULL,
  state TEXT NOT NULL, wave BIGINT NOT NULL, reasons TEXT NOT NULL, group_key {blob} NOT NULL,
  offered_at BIGINT NOT NULL, expires_at BIGINT NOT NULL, updated_at BIGINT NOT NULL, promoted BIGINT NOT NULL DEFAULT 0,
  share_contact BIGINT NOT NULL DEFAULT 0, seen_at BIGINT, answered_at BIGINT, accepted_at BIGINT, waiting BIGINT,
  reason TEXT, answered_by TEXT, method TEXT,
  UNIQUE (posting, handle), UNIQUE (group_key, handle)) {clustered};
INSERT INTO offers (id, posting, handle, worker, platform, state, wave, reasons, group_key, offered_at, expires_at, updated_at, promoted,
    share_contact, seen_at, answered_at, accepted_at, waiting, reason, answered_by, method)
  SELECT o.id, o.posting, w.handle, o.worker, o.platform, o.state, o.wave, o.reasons, o.group_key, o.offered_at, o.expires_at, o.updated_at,
    o.promoted, o.share_contact, o.seen_at, o.answered_at, o.accepted_at, o.waiting, o.reason, o.answered_by, o.method
  FROM offers_by_id o JOIN workers w ON w.id = o.worker ORDER BY o.id;
DROP TABLE offers_by_id;
CREATE INDEX offers_by_handle ON offers (handle, state);
CREATE INDEX offers_unanswered ON offers (posting, promoted) WHERE state IN ('offered', 'seen');
CREATE INDEX offers_expiring ON offers (expires_at) WHERE state IN ('offered', 'seen');
CREATE INDEX offers_waiting ON offers (posting, waiting) WHERE state = 'waitlisted';
";

/// Seats of in-place work by home county: how many people of one county a posting
/// wants at most (0: it does not say) and of how many counties, who holds a seat from
/// where, and who waits there. A county has a row once somebody sat or waited.
pub(super) const COUNTY_SEATS: &str = "
ALTER TABLE postings ADD COLUMN per_county BIGINT NOT NULL DEFAULT 0;
ALTER TABLE postings ADD COLUMN counties BIGINT NOT NULL DEFAULT 0;
CREATE TABLE county_seats (
  posting {blob} NOT NULL, county BIGINT NOT NULL, openings BIGINT NOT NULL, taken BIGINT NOT NULL,
  PRIMARY KEY (posting, county), CHECK (taken >= 0 AND taken <= openings)) {clustered};
ALTER TABLE offers ADD COLUMN county BIGINT;
UPDATE offers SET county = (SELECT w.home FROM workers w WHERE w.id = offers.worker)
  WHERE state IN ('accepted', 'hired', 'waitlisted') OR (state IN ('offered', 'seen') AND promoted = 1);
CREATE INDEX offers_waiting_by_county ON offers (posting, county, waiting) WHERE state = 'waitlisted';
";

/// When unanswered offers of a posting run out. They were made together, so that a row
/// for each moment does where an index over the offers held one for each of them, to be
/// written when it was made and again when it was answered.
pub(super) const EXPIRIES: &str = "
CREATE TABLE expiries (at BIGINT NOT NULL, posting {blob} NOT NULL, PRIMARY KEY (at, posting)) {clustered};
INSERT INTO expiries (at, posting) SELECT DISTINCT expires_at, posting FROM offers WHERE state IN ('offered', 'seen');
DROP INDEX offers_expiring;
";

/// The open postings that lack people are found among all.
pub(super) const SHORT: &str = "
CREATE INDEX postings_short ON postings (id) WHERE status = 'open' AND short = 1;
";

/// Who is to be told something and how far that came (one row for each worker who ever
/// was), the codes that they may reply with, and the replies. Phones stand here as MACs.
pub(super) const MESSAGES: &str = "
CREATE TABLE notices (
  handle BIGINT PRIMARY KEY, state TEXT NOT NULL, asked_at BIGINT NOT NULL, again_at BIGINT, due_at BIGINT NOT NULL,
  fence BIGINT NOT NULL DEFAULT 0, channel BIGINT NOT NULL DEFAULT 0, tries BIGINT NOT NULL DEFAULT 0, message {blob},
  day BIGINT NOT NULL DEFAULT 0, sent BIGINT NOT NULL DEFAULT 0, reason TEXT, since BIGINT) {clustered};
CREATE INDEX notices_due ON notices (due_at) WHERE state = 'due';
CREATE INDEX notices_unreachable ON notices (handle) WHERE state = 'unreachable';
CREATE TABLE message_attempts (
  seq {serial}, message {blob} NOT NULL, handle BIGINT NOT NULL, channel TEXT NOT NULL, at BIGINT NOT NULL, status BIGINT, error TEXT);
CREATE INDEX message_attempts_by_handle ON message_attempts (handle, seq);
CREATE TABLE reply_codes (
  phone_mac {blob} NOT NULL, code TEXT NOT NULL, handle BIGINT NOT NULL, offer {blob} NOT NULL UNIQUE, expires_at BIGINT NOT NULL,
  PRIMARY KEY (phone_mac, code));
CREATE INDEX reply_codes_by_handle ON reply_codes (handle);
CREATE TABLE replies (
  id {blob} PRIMARY KEY, phone_mac {blob} NOT NULL, at BIGINT NOT NULL, result TEXT NOT NULL, wrong BIGINT NOT NULL, offer {blob}, code TEXT);
CREATE INDEX replies_wrong ON replies (phone_mac, at) WHERE wrong = 1;
CREATE INDEX replies_by_time ON replies (at);
";

/// Corrections of hires, each an entry that stands for good, and what they set; rosters
/// that were taken, and under which MAC of the platform's own id a person is known from
/// one. A hire that a roster alone tells of has a posting of 16 zero bytes.
pub(super) const ROSTERS: &str = "
ALTER TABLE hires ADD COLUMN reported_work BIGINT;
ALTER TABLE hires ADD COLUMN arrangement TEXT NOT NULL DEFAULT '';
ALTER TABLE hires ADD COLUMN start_set BIGINT;
ALTER TABLE hires ADD COLUMN end_fixed BIGINT NOT NULL DEFAULT 0;
ALTER TABLE hires ADD COLUMN end_set BIGINT;
ALTER TABLE hires ADD COLUMN corrected BIGINT NOT NULL DEFAULT 0;
ALTER TABLE hires ADD COLUMN void BIGINT NOT NULL DEFAULT 0;
UPDATE hires SET reported_work = (SELECT MAX(f.work) FROM hire_facts f WHERE f.hire = hires.id AND f.at = hires.hired_at);
CREATE TABLE corrections (
  seq {serial}, hire {blob} NOT NULL, worker {blob} NOT NULL, at BIGINT NOT NULL, by_whom TEXT NOT NULL, changes TEXT NOT NULL,
  reason TEXT NOT NULL);
CREATE INDEX corrections_by_worker ON corrections (worker);
CREATE TABLE rosters (
  id {blob} PRIMARY KEY, platform TEXT NOT NULL, client {blob} NOT NULL, at BIGINT NOT NULL,
  received BIGINT, matched BIGINT, already BIGINT);
CREATE INDEX rosters_by_platform ON rosters (platform, at);
CREATE TABLE platform_workers (
  platform TEXT NOT NULL, mac {blob} NOT NULL, posting {blob} NOT NULL, worker {blob} NOT NULL, PRIMARY KEY (platform, mac)) {clustered};
CREATE INDEX platform_workers_by_worker ON platform_workers (worker);
";

/// Deliveries by endpoint, so that no backlog stands before another endpoint's; what
/// each came to at last; the keys of asymmetric signatures, and a number that changes
/// with whatever sending needs to know of an endpoint. Replays by time, which go on in
/// slices. And the last event of each platform that is no longer kept.
pub(super) const WEBHOOKS: &str = "
ALTER TABLE endpoints ADD COLUMN version BIGINT NOT NULL DEFAULT 1;
ALTER TABLE endpoints ADD COLUMN key_sealed {blob};
ALTER TABLE endpoints ADD COLUMN previous_key_sealed {blob};
ALTER TABLE endpoints ADD COLUMN public_key TEXT;
ALTER TABLE deliveries ADD COLUMN status BIGINT;
ALTER TABLE deliveries ADD COLUMN error TEXT;
DROP INDEX deliveries_due;
CREATE INDEX deliveries_due ON deliveries (endpoint, due_at, event) WHERE state = 'due';
CREATE INDEX deliveries_dead ON deliveries (endpoint, event) WHERE state = 'dead';
CREATE TABLE replays (
  id {blob} PRIMARY KEY, endpoint {blob} NOT NULL, since BIGINT NOT NULL, at BIGINT NOT NULL,
  position BIGINT NOT NULL, upto BIGINT NOT NULL, replayed BIGINT NOT NULL, done_at BIGINT);
CREATE INDEX replays_by_endpoint ON replays (endpoint, id);
CREATE INDEX replays_running ON replays (id) WHERE done_at IS NULL;
CREATE TABLE forgotten_events (platform TEXT PRIMARY KEY, seq BIGINT NOT NULL);
";

/// Codes that are over are found among all.
pub(super) const OLD_CODES: &str = "
CREATE INDEX reply_codes_by_expiry ON reply_codes (expires_at);
";

/// The ledger counted without a gap; a salt stands only in the entry that registered a
/// person still there. Its tree: how far it has grown with the roots of its perfect
/// parts, what of it fills a tile, and the checkpoints that were signed.
pub(super) const SEALS: &str = "
ALTER TABLE ledger RENAME TO ledger_uncounted;
CREATE TABLE ledger (
  seq {serial}, at BIGINT NOT NULL, kind TEXT NOT NULL, worker {blob} NOT NULL, hire {blob}, leaf TEXT NOT NULL, salt {blob});
INSERT INTO ledger (seq, at, kind, worker, hire, leaf)
  SELECT ROW_NUMBER() OVER (ORDER BY seq), at, kind, worker, hire, leaf FROM ledger_uncounted ORDER BY seq;
DROP TABLE ledger_uncounted;
CREATE INDEX ledger_salted ON ledger (worker) WHERE salt IS NOT NULL;
CREATE INDEX ledger_by_hire ON ledger (hire, seq) WHERE hire IS NOT NULL;
CREATE TABLE ledger_tree (id BIGINT PRIMARY KEY, size BIGINT NOT NULL, frontier {blob} NOT NULL);
CREATE TABLE ledger_tiles (
  level BIGINT NOT NULL, number BIGINT NOT NULL, root {blob} NOT NULL, hashes {blob} NOT NULL, PRIMARY KEY (level, number));
CREATE TABLE checkpoints (size BIGINT PRIMARY KEY, at BIGINT NOT NULL, note TEXT NOT NULL, frontier {blob} NOT NULL);
";

/// Totals at the end of past years, as offices state them; how far each region's period
/// is on its way to the lock, and what was locked; what an alert is about, which day was
/// watched, and when platforms were last heard from. `turn` grows with every act on a period, and its row
/// is the lock that puts them in one order.
pub(super) const CLOSING: &str = "
CREATE TABLE baselines (
  region BIGINT NOT NULL, year BIGINT NOT NULL, total BIGINT NOT NULL, at BIGINT NOT NULL, by_whom TEXT NOT NULL, PRIMARY KEY (year, region));
CREATE TABLE period_turns (period TEXT PRIMARY KEY, turn BIGINT NOT NULL);
CREATE TABLE periods (
  period TEXT NOT NULL, region BIGINT NOT NULL, state TEXT NOT NULL, figure TEXT NOT NULL, position BIGINT NOT NULL, reason TEXT,
  at BIGINT NOT NULL, by_whom TEXT NOT NULL, version BIGINT NOT NULL, PRIMARY KEY (period, region));
CREATE TABLE period_locks (
  period TEXT NOT NULL, region BIGINT NOT NULL, position BIGINT NOT NULL, revision TEXT NOT NULL, at BIGINT NOT NULL,
  by_whom TEXT NOT NULL, figures TEXT NOT NULL, PRIMARY KEY (period, region));
ALTER TABLE alerts ADD COLUMN matter TEXT;
CREATE UNIQUE INDEX alerts_of_matter ON alerts (matter);
CREATE INDEX alerts_open ON alerts (matter) WHERE resolved_at IS NULL;
CREATE TABLE watches (name TEXT PRIMARY KEY, day BIGINT NOT NULL, lease_until BIGINT NOT NULL, ended_at BIGINT NOT NULL);
CREATE TABLE platforms_heard (platform TEXT PRIMARY KEY, at BIGINT NOT NULL);
CREATE INDEX workers_displaced ON workers (displaced_until) WHERE displaced_until > 0;
CREATE INDEX hire_facts_paid ON hire_facts (received_at) WHERE wage IS NOT NULL;
";

/// The trade of each posting, by its number. What is counted of each person, and the cells that count them all, each a page of
/// one bucket of time, axis and region; those of locked periods as they stood then.
pub(super) const BOOKS: &str = "
CREATE TABLE accounts (handle {rowid} PRIMARY KEY, account TEXT NOT NULL);
CREATE TABLE cells (cell {rowid} PRIMARY KEY, page {blob} NOT NULL);
CREATE TABLE locked_cells (period TEXT NOT NULL, cell BIGINT NOT NULL, page {blob} NOT NULL, PRIMARY KEY (period, cell));
CREATE TABLE platform_numbers (number BIGINT PRIMARY KEY, platform TEXT NOT NULL UNIQUE);
ALTER TABLE postings ADD COLUMN category BIGINT NOT NULL DEFAULT 14;
UPDATE postings SET category = CASE
  WHEN content LIKE '%\"category\":\"delivery_rider\"%' THEN 0
  WHEN content LIKE '%\"category\":\"courier\"%' THEN 1
  WHEN content LIKE '%\"category\":\"driver\"%' THEN 2
  WHEN content LIKE '%\"category\":\"warehouse\"%' THEN 3
  WHEN content LIKE '%\"category\":\"sorting_packing\"%' THEN 4
  WHEN content LIKE '%\"category\":\"housekeeping\"%' THEN 5
  WHEN content LIKE '%\"category\":\"cleaning\"%' THEN 6
  WHEN content LIKE '%\"category\":\"ai_annotation\"%' THEN 7
  WHEN content LIKE '%\"category\":\"customer_service\"%' THEN 8
  WHEN content LIKE '%\"category\":\"factory\"%' THEN 9
  WHEN content LIKE '%\"category\":\"catering_retail\"%' THEN 10
  WHEN content LIKE '%\"category\":\"security\"%' THEN 11
  WHEN content LIKE '%\"category\":\"construction\"%' THEN 12
  WHEN content LIKE '%\"category\":\"agriculture\"%' THEN 13 ELSE 14 END;
CREATE INDEX hires_by_home ON hires (home, worker);
CREATE INDEX ledger_baselines ON ledger (seq) WHERE kind = 'baseline';
ALTER TABLE period_locks ADD COLUMN beside TEXT NOT NULL DEFAULT '{}';
ALTER TABLE period_locks ADD COLUMN seeking TEXT NOT NULL DEFAULT '[]';
CREATE INDEX postings_by_arrival ON postings (created_at, platform, category, total_declared);
";

/// Names at platforms that were given at random, before they were computed: none is
/// added. They have a name of their own so that no older version adds any.
pub(super) const GIVEN_NAMES: &str = "
ALTER TABLE pseudonyms RENAME TO given_names;
";

/// How each person who was not erased is counted among those who look for work, and the
/// pages that count them, one for a home and each month in which something changed there;
/// the homes that have one; and how far the log is folded into them. People who are there
/// already are walked first. Pages are no part of their key: the embedded engine would cut
/// each in two, which is read three times as slowly.
pub(super) const SEEKERS: &str = "
CREATE TABLE seekers (
  handle BIGINT PRIMARY KEY, home BIGINT NOT NULL, looks BIGINT NOT NULL, since BIGINT NOT NULL, last BIGINT) {clustered};
CREATE TABLE seek_homes (home BIGINT PRIMARY KEY) {clustered};
CREATE TABLE seek_cells (home BIGINT NOT NULL, month BIGINT NOT NULL, page {blob} NOT NULL, PRIMARY KEY (home, month));
CREATE TABLE seek_fold (id BIGINT PRIMARY KEY, position BIGINT NOT NULL, month BIGINT NOT NULL, walked BIGINT, begun BIGINT NOT NULL);
INSERT INTO seek_fold (id, position, month, walked, begun)
  SELECT 0, (SELECT COALESCE(MAX(seq), 0) FROM changes), 0, CASE WHEN EXISTS (SELECT 1 FROM workers) THEN -1 END, 0;
";

/// Whether an offer is closed, so that nothing more comes of it: indexes hold that and no
/// state, and a yes writes none of them. An answer gives up the `room` its row was made
/// with, so that the embedded engine need not cut pages of offers in two for it. What is
/// added to the cells of a bucket and axis and not folded into them yet.
pub(super) const OPEN_OFFERS: &str = "
ALTER TABLE offers RENAME TO offers_by_state;
CREATE TABLE offers (
  id {blob} PRIMARY KEY, posting {blob} NOT NULL, handle BIGINT NOT NULL, worker {blob} NOT NULL, platform TEXT NOT NULL,
  state TEXT NOT NULL, closed BIGINT NOT NULL DEFAULT 0, wave BIGINT NOT NULL, reasons TEXT NOT NULL, group_key {blob} NOT NULL,
  offered_at BIGINT NOT NULL, expires_at BIGINT NOT NULL, updated_at BIGINT NOT NULL, promoted BIGINT NOT NULL DEFAULT 0,
  share_contact BIGINT NOT NULL DEFAULT 0, seen_at BIGINT, answered_at BIGINT, accepted_at BIGINT, waiting BIGINT,
  reason TEXT, answered_by TEXT, method TEXT, county BIGINT, room {blob},
  UNIQUE (posting, handle), UNIQUE (group_key, handle),
  CHECK (closed = CASE WHEN state IN ('offered', 'seen', 'accepted', 'waitlisted') THEN 0 ELSE 1 END)) {clustered};
INSERT INTO offers (id, posting, handle, worker, platform, state, closed, wave, reasons, group_key, offered_at, expires_at, updated_at,
    promoted, share_contact, seen_at, answered_at, accepted_at, waiting, reason, answered_by, method, county)
  SELECT id, posting, handle, worker, platform, state, CASE WHEN state IN ('offered', 'seen', 'accepted', 'waitlisted') THEN 0 ELSE 1 END,
    wave, reasons, group_key, offered_at, expires_at, updated_at, promoted, share_contact, seen_at, answered_at, accepted_at, waiting,
    reason, answered_by, method, county
  FROM offers_by_state ORDER BY id;
DROP TABLE offers_by_state;
CREATE INDEX offers_by_handle ON offers (handle, closed);
CREATE INDEX offers_open ON offers (posting) WHERE closed = 0;
CREATE INDEX offers_waiting ON offers (posting, waiting) WHERE state = 'waitlisted';
CREATE INDEX offers_waiting_by_county ON offers (posting, county, waiting) WHERE state = 'waitlisted';
CREATE TABLE additions (seq {serial}, strip BIGINT NOT NULL, counts {blob} NOT NULL);
CREATE INDEX additions_by_strip ON additions (strip);
";

/// What an alert is about, coded; those raised before keep their stored words alone.
pub(super) const ALERT_FACTS: &str = "
ALTER TABLE alerts ADD COLUMN facts TEXT NOT NULL DEFAULT '{}';
";

/// What was looked for by going through a whole table: what stands of one person, reveals
/// by a client, open alerts about one subject, old answers, and postings that lack people,
/// in the order of their ids.
pub(super) const FOUND_BY: &str = "
DROP INDEX postings_short;
CREATE INDEX postings_short ON postings (status, id) WHERE short = 1;
CREATE INDEX hire_facts_loose ON hire_facts (worker) WHERE hire IS NULL;
CREATE INDEX access_log_by_worker ON access_log (worker) WHERE worker IS NOT NULL;
CREATE INDEX access_log_reveals ON access_log (client, at) WHERE action = 'reveal';
CREATE INDEX alerts_by_worker ON alerts (worker) WHERE worker IS NOT NULL;
CREATE INDEX replies_by_phone ON replies (phone_mac);
ALTER TABLE alerts ADD COLUMN subject TEXT;
DROP INDEX alerts_open;
CREATE INDEX alerts_open ON alerts (subject) WHERE resolved_at IS NULL;
CREATE INDEX idempotency_by_age ON idempotency (created_at);
";

/// What an answer needs of other rows, in those it reads anyway: a posting's title beside
/// its content, and where the worker of an open offer is at home.
pub(super) const ANSWERED: &str = "
ALTER TABLE postings ADD COLUMN title TEXT NOT NULL DEFAULT '';
UPDATE postings SET title = COALESCE({title}, '');
ALTER TABLE offers ADD COLUMN home BIGINT NOT NULL DEFAULT 0;
UPDATE offers SET home = COALESCE((SELECT w.home FROM workers w WHERE w.handle = offers.handle), 0);
";

/// Accounts in the order of their last hire's home, so that those of a county are read one
/// after the other; of whom nothing is counted the home is -1.
pub(super) const PLACED_ACCOUNTS: &str = "
ALTER TABLE accounts RENAME TO accounts_by_handle;
CREATE TABLE accounts (
  home BIGINT NOT NULL, handle BIGINT NOT NULL, worker {blob} NOT NULL, account TEXT NOT NULL,
  PRIMARY KEY (home, handle), UNIQUE (handle)) {clustered};
INSERT INTO accounts (home, handle, worker, account)
  SELECT CASE WHEN a.account = '' THEN -1 ELSE CAST({last_home} AS BIGINT) END, a.handle, w.id, a.account
  FROM accounts_by_handle a JOIN workers w ON w.handle = a.handle;
DROP TABLE accounts_by_handle;
";

/// The buckets of cells that are not rolled up by province yet, which are those that are
/// there now. What is added has another name, since an older version would fold it without
/// rolling it up.
pub(super) const ROLL_UPS: &str = "
CREATE TABLE not_rolled_up (strip BIGINT PRIMARY KEY) {clustered};
INSERT INTO not_rolled_up (strip) SELECT DISTINCT cell / 1000000 FROM cells;
ALTER TABLE additions RENAME COLUMN counts TO pages;
";

/// What an office lists: the people of a county by what they do, and who works there.
pub(super) const LISTED: &str = "
DROP INDEX workers_by_home;
CREATE INDEX workers_by_home ON workers (home, looking, paused, id, erased_at);
CREATE INDEX hires_by_work ON hires (work, id);
";

/// Accounts in bytes, a sixth of their JSON, which [`pack_accounts`] fills in; what it
/// reads is another table, so that an older version finds none.
///
/// [`pack_accounts`]: super::super::books::pack_accounts
pub(super) const PACKED_ACCOUNTS: &str = "
ALTER TABLE accounts RENAME TO accounts_in_words;
CREATE TABLE accounts (
  home BIGINT NOT NULL, handle BIGINT NOT NULL, worker {blob} NOT NULL, packed {blob} NOT NULL,
  PRIMARY KEY (home, handle)) {clustered};
";

/// What is made after the accounts are there, all at once.
pub(super) const ACCOUNTS_BY_HANDLE: &str = "
CREATE UNIQUE INDEX accounts_by_handle ON accounts (handle);
DROP TABLE accounts_in_words;
";

/// How often what stood at the end of a month was changed after something was locked.
pub(super) const LATE_CHANGES: &str = "
CREATE TABLE late_changes (month BIGINT PRIMARY KEY, changes BIGINT NOT NULL) {clustered};
";
