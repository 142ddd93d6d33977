//! The search engine tantivy over people as documents, in priority order: document
//! ids rise with the part of the order that no posting changes.
//!
//! What it cannot say exactly: a threshold is either a range over a fast field or a
//! term of steps, which holds a few too many; these are looked at again on the fast
//! field. Its collectors cannot stop early, so [`Early`] drives the documents of the
//! query by hand; [`Whole`] is what its manual shows.

use super::{Entry, Peer, born, province_number, terms, wished};
use crate::domain::eligibility::Question;
use crate::domain::ranking::{self, Distance};
use crate::domain::region::Region;
use crate::domain::time::day_number;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::ops::Bound;
use std::sync::Arc;
use tantivy::collector::TopDocs;
use tantivy::columnar::ColumnValues;
use tantivy::directory::RamDirectory;
use tantivy::query::{BooleanQuery, EnableScoring, Occur, Query, RangeQuery, TermQuery};
use tantivy::schema::{Field, IndexRecordOption, NumericOptions, Schema};
use tantivy::{DocSet, Index, ReloadPolicy, Searcher, SegmentReader, TERMINATED, TantivyDocument, Term};

/// Terms "asks for at most so much": yuan a month.
const PAYS: [u32; 12] = [1500, 2000, 2500, 2750, 3000, 3250, 3500, 4000, 4500, 5000, 6000, 8000];
/// Terms "at most so old": years.
const AGES: [i64; 9] = [20, 25, 30, 35, 40, 45, 50, 55, 60];
/// Days of birth begin in 1860, so that none is negative.
const BIRTHS: i64 = 40_200;

/// What the exact check and the order need, in one fast field.
#[derive(Clone, Copy)]
struct Row(u64);

impl Row {
    fn of(e: &Entry) -> Self {
        let w = &e.seeker;
        let home = u64::from(w.home.leaf_index().unwrap_or_default());
        Self(u64::from(w.min_monthly_pay) << 33 | u64::from(birth(day_number(w.birth))) << 13 | home << 1 | u64::from(w.require_stated_pay))
    }

    fn least(self) -> u32 {
        (self.0 >> 33) as u32
    }

    fn birth(self) -> u32 {
        (self.0 >> 13) as u32 & 0xf_ffff
    }

    fn home(self) -> u16 {
        (self.0 >> 1) as u16 & 0xfff
    }

    fn wants_stated(self) -> bool {
        self.0 & 1 == 1
    }
}

/// A day of birth as the index keeps it.
fn birth(day: i64) -> u32 {
    u32::try_from(day + BIRTHS).unwrap_or(0)
}

#[derive(Clone, Copy)]
struct Fields {
    available: Field,
    category: Field,
    skill: Field,
    /// Provinces wished for, by number, and behind them the own county: where work
    /// away from home may be.
    reach: Field,
    home: Field,
    /// Steps of [`PAYS`] and [`AGES`].
    pays: Field,
    ages: Field,
    row: Field,
    handle: Field,
    fixed: Field,
    least: Field,
    birth: Field,
}

impl Fields {
    fn schema() -> (Schema, Self) {
        let mut schema = Schema::builder();
        let mut term = |name: &str| schema.add_u64_field(name, NumericOptions::default().set_indexed());
        let (available, category, skill) = (term("available"), term("category"), term("skill"));
        let (reach, home, pays, ages) = (term("reach"), term("home"), term("pays"), term("ages"));
        let mut fast = |name: &str| schema.add_u64_field(name, NumericOptions::default().set_fast());
        let (row, handle, fixed, least, birth) = (fast("row"), fast("handle"), fast("fixed"), fast("least"), fast("birth"));
        (schema.build(), Self { available, category, skill, reach, home, pays, ages, row, handle, fixed, least, birth })
    }

    fn document(&self, e: &Entry) -> TantivyDocument {
        let (w, mut doc) = (&e.seeker, TantivyDocument::new());
        let bits = |mask: u64| (0..64).filter(move |n| mask >> n & 1 == 1);
        if e.available {
            doc.add_u64(self.available, 1);
        }
        // No category means any.
        bits(if w.categories == 0 { u64::from(u32::MAX) } else { u64::from(w.categories) }).for_each(|n| doc.add_u64(self.category, n));
        bits(w.skills).for_each(|n| doc.add_u64(self.skill, n));
        let home = u64::from(w.home.leaf_index().unwrap_or_default());
        doc.add_u64(self.home, home);
        if !w.in_place_only {
            wished(w).into_iter().for_each(|n| doc.add_u64(self.reach, n as u64));
            doc.add_u64(self.reach, county(home));
        }
        let age_of = |years: i64| birth(day_number(terms().today)) as i64 - years * 365;
        PAYS.iter().enumerate().filter(|(_, most)| w.min_monthly_pay <= **most).for_each(|(n, _)| doc.add_u64(self.pays, n as u64));
        let born = birth(day_number(w.birth));
        AGES.iter().enumerate().filter(|(_, years)| i64::from(born) >= age_of(**years)).for_each(|(n, _)| doc.add_u64(self.ages, n as u64));
        doc.add_u64(self.row, Row::of(e).0);
        doc.add_u64(self.handle, u64::from(e.handle));
        doc.add_u64(self.fixed, u64::from(e.fixed));
        doc.add_u64(self.least, u64::from(w.min_monthly_pay));
        doc.add_u64(self.birth, u64::from(born));
        doc
    }
}

/// Counties stand behind the provinces among the places of [`Fields::reach`].
fn county(leaf: u64) -> u64 {
    100 + leaf
}

/// What a posting adds to the order.
#[derive(Clone)]
struct Order {
    in_place: bool,
    work: Option<u16>,
    province: Option<u8>,
    pay: Option<u32>,
    seed: u64,
    /// The province of each leaf division.
    provinces: Arc<Vec<u8>>,
}

impl Order {
    fn key(&self, fixed: u64, row: Row, handle: u32) -> u64 {
        let home = row.home();
        let distance = match self.work {
            _ if self.in_place => Distance::SameCounty,
            Some(work) if work == home => Distance::SameCounty,
            _ if self.province == self.provinces.get(usize::from(home)).copied() => Distance::SameProvince,
            _ => Distance::Elsewhere,
        };
        fixed << ranking::POSTING_BITS | ranking::posting_key(distance, ranking::surplus(self.pay, row.least()), handle, self.seed)
    }
}

pub struct Documents {
    searcher: Searcher,
    fields: Fields,
    provinces: Arc<Vec<u8>>,
    /// How many hold each step of [`PAYS`] and [`AGES`].
    paid: Vec<u64>,
    aged: Vec<u64>,
    /// Where each value of the fixed part ends: document, value.
    runs: Vec<(u32, u16)>,
}

impl Documents {
    /// Builds one segment on one thread, in priority order.
    pub fn build(entries: impl Iterator<Item = Entry>) -> Result<Self, String> {
        let mut entries: Vec<Entry> = entries.collect();
        entries.sort_unstable_by_key(|e| (e.fixed, e.handle));
        let mut runs: Vec<(u32, u16)> = Vec::new();
        for (at, e) in (1u32..).zip(&entries) {
            match runs.last_mut() {
                Some((end, fixed)) if *fixed == e.fixed => *end = at,
                _ => runs.push((at, e.fixed)),
            }
        }
        let (schema, fields) = Fields::schema();
        let build = || -> tantivy::Result<Index> {
            let mut writer = Index::builder().schema(schema).single_segment_index_writer(RamDirectory::create(), 1 << 30)?;
            entries.iter().try_for_each(|e| writer.add_document(fields.document(e)))?;
            writer.finalize()
        };
        let index = build().map_err(told)?;
        let reader = index.reader_builder().reload_policy(ReloadPolicy::Manual).try_into().map_err(told)?;
        let searcher = reader.searcher();
        if searcher.segment_readers().len() != 1 {
            return Err("the documents are in more than one segment".to_owned());
        }
        let holders = |field: Field, steps: usize| (0..steps as u64).map(|n| searcher.doc_freq(&term(field, n))).collect();
        let (paid, aged) = (holders(fields.pays, PAYS.len()), holders(fields.ages, AGES.len()));
        let (paid, aged) = (tantivy::Result::map_err(paid, told)?, tantivy::Result::map_err(aged, told)?);
        let province = |leaf: &Region| province_number(leaf.province()).map_or(u8::MAX, |n| n as u8);
        let provinces = Arc::new(Region::NATION.leaves().iter().map(province).collect());
        Ok(Self { searcher, fields, provinces, paid, aged, runs })
    }

    /// What the index takes.
    pub fn bytes(&self) -> f64 {
        self.searcher.space_usage().map_or(0.0, |usage| usage.total().get_bytes() as f64)
    }

    fn order(&self, q: &Question) -> Order {
        Order {
            in_place: q.in_place,
            work: q.work.and_then(Region::leaf_index),
            province: province_number(q.work.and_then(Region::province)).map(|n| n as u8),
            pay: q.pay,
            seed: q.seed,
            provinces: self.provinces.clone(),
        }
    }

    /// The conditions that terms say exactly.
    fn clauses(&self, q: &Question) -> Vec<Box<dyn Query>> {
        let f = &self.fields;
        let mut all = vec![is(f.available, 1), is(f.category, u64::from(q.category.trailing_zeros()))];
        all.extend((0..64).filter(|n| q.skills >> n & 1 == 1).map(|n| is(f.skill, n)));
        match &q.homes {
            Some(homes) => all.push(any(homes.leaves().map(|leaf| is(f.home, u64::from(leaf))).collect())),
            // Work at home that is aimed at nobody.
            None if q.in_place => all.push(any(Vec::new())),
            None => {}
        }
        if !q.in_place {
            let province = province_number(q.work.and_then(Region::province)).map(|n| is(f.reach, n as u64));
            let own = q.work.and_then(Region::leaf_index).map(|leaf| is(f.reach, county(u64::from(leaf))));
            all.push(any(province.into_iter().chain(own).collect()));
        }
        all
    }

    /// A term for a threshold, where one is held by fewer than half.
    fn steps(&self, q: &Question, born: u32) -> Vec<Box<dyn Query>> {
        let few = |held: u64| held * 2 < u64::from(self.searcher.segment_readers()[0].max_doc());
        let pay = q.pay.and_then(|pay| PAYS.iter().position(|most| pay <= *most)).filter(|n| few(self.paid[*n]));
        let today = i64::from(birth(day_number(terms().today)));
        let age = AGES.iter().position(|years| today - years * 365 <= i64::from(born)).filter(|n| few(self.aged[*n]));
        let pay = pay.map(|n| is(self.fields.pays, n as u64));
        pay.into_iter().chain(age.map(|n| is(self.fields.ages, n as u64))).collect()
    }

    pub fn early(&self) -> Early<'_> {
        let column = |name: &str| self.searcher.segment_readers()[0].fast_fields().u64(name).map(|c| c.first_or_default_col(0));
        Early { documents: self, columns: column("row").and_then(|row| Ok((row, column("handle")?))).map_err(told) }
    }

    pub fn whole(&self) -> Whole<'_> {
        Whole(self)
    }
}

fn told(e: impl std::fmt::Display) -> String {
    format!("tantivy: {e}")
}

fn term(field: Field, value: u64) -> Term {
    Term::from_field_u64(field, value)
}

fn is(field: Field, value: u64) -> Box<dyn Query> {
    Box::new(TermQuery::new(term(field, value), IndexRecordOption::Basic))
}

fn any(queries: Vec<Box<dyn Query>>) -> Box<dyn Query> {
    Box::new(BooleanQuery::new(queries.into_iter().map(|q| (Occur::Should, q)).collect()))
}

fn all(queries: Vec<Box<dyn Query>>) -> BooleanQuery {
    BooleanQuery::new(queries.into_iter().map(|q| (Occur::Must, q)).collect())
}

/// Terms alone, thresholds by steps and a look at the fast field; the query's documents
/// are driven by hand until nobody who follows can be among the best.
pub struct Early<'a> {
    documents: &'a Documents,
    columns: Result<Columns, String>,
}

/// The rows and the handles.
type Columns = (Arc<dyn ColumnValues<u64>>, Arc<dyn ColumnValues<u64>>);

impl Peer for Early<'_> {
    fn best(&mut self, q: &Question, k: usize, found: &mut Vec<u32>) -> Result<(), String> {
        let (documents, (rows, handles)) = (self.documents, self.columns.as_ref().map_err(String::clone)?);
        let (order, days) = (documents.order(q), born(q));
        let births = birth(*days.start())..=birth(*days.end());
        let mut queries = documents.clauses(q);
        queries.extend(documents.steps(q, *births.start()));
        let searcher = &documents.searcher;
        let weight = all(queries).weight(EnableScoring::disabled_from_searcher(searcher)).map_err(told)?;
        let mut matching = weight.scorer(&searcher.segment_readers()[0], 1.0).map_err(told)?;
        let mut best: BinaryHeap<(u64, u32)> = BinaryHeap::with_capacity(k + 1);
        let mut run = 0;
        let mut doc = matching.doc();
        while doc != TERMINATED {
            while documents.runs[run].0 <= doc {
                run += 1;
            }
            let fixed = u64::from(documents.runs[run].1);
            if best.len() == k && best.peek().is_some_and(|(worst, _)| fixed > worst >> ranking::POSTING_BITS) {
                break;
            }
            let row = Row(rows.get_val(doc));
            let paid = q.pay.map_or(!row.wants_stated(), |pay| row.least() <= pay);
            if paid && births.contains(&row.birth()) {
                let handle = handles.get_val(doc) as u32;
                let key = (order.key(fixed, row, handle), handle);
                if best.len() < k {
                    best.push(key);
                } else if best.peek().is_some_and(|worst| key < *worst) {
                    best.pop();
                    best.push(key);
                }
            }
            doc = matching.advance();
        }
        found.extend(best.into_sorted_vec().into_iter().map(|(_, handle)| handle));
        Ok(())
    }
}

/// As the manual shows: thresholds as ranges, the best by a sort key computed for every
/// document that matches. Who asks for stated pay is left out by the key alone.
pub struct Whole<'a>(&'a Documents);

impl Peer for Whole<'_> {
    fn best(&mut self, q: &Question, k: usize, found: &mut Vec<u32>) -> Result<(), String> {
        let (documents, f) = (self.0, &self.0.fields);
        let range = |field, from: u64, upto: u64| -> Box<dyn Query> {
            Box::new(RangeQuery::new(Bound::Included(term(field, from)), Bound::Included(term(field, upto))))
        };
        let mut queries = documents.clauses(q);
        let days = born(q);
        queries.push(range(f.birth, u64::from(birth(*days.start())), u64::from(birth(*days.end()))));
        if let Some(pay) = q.pay {
            queries.push(range(f.least, 0, u64::from(pay)));
        }
        let order = documents.order(q);
        let key = move |reader: &SegmentReader| {
            let column = |name: &str| reader.fast_fields().u64(name).map(|c| c.first_or_default_col(0)).expect("the schema has it");
            let (rows, handles, fixed, order) = (column("row"), column("handle"), column("fixed"), order.clone());
            move |doc: u32| {
                let (row, handle) = (Row(rows.get_val(doc)), handles.get_val(doc) as u32);
                let unsaid = order.pay.is_none() && row.wants_stated();
                (!unsaid, Reverse((order.key(fixed.get_val(doc), row, handle), handle)))
            }
        };
        let best = documents.searcher.search(&all(queries), &TopDocs::with_limit(k).order_by(key)).map_err(told)?;
        found.extend(best.into_iter().filter(|((suits, _), _)| *suits).map(|((_, Reverse((_, handle))), _)| handle));
        Ok(())
    }
}
