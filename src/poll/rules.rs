//! What an answer of a source means, when to come again, where the next page is:
//! pure, with time and chance as arguments.

use crate::domain::time::Moment;
use std::time::Duration;

/// What an answer's status asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Take,
    /// Nothing has changed.
    Same,
    /// `host`: it speaks of the host, not of this feed alone.
    Refused {
        host: bool,
    },
}

/// Judges a status. `asked`: the request named what it has already.
pub fn judge(status: u16, asked: bool) -> Verdict {
    match status {
        200 => Verdict::Take,
        304 if asked => Verdict::Same,
        408 | 429 | 500..=599 => Verdict::Refused { host: true },
        _ => Verdict::Refused { host: false },
    }
}

/// After `failures` failures in a row (at least 1): doubled each time up to `most`,
/// between three quarters and all of it as `chance` will have it, and never before
/// the source asked for.
pub fn pause(failures: u32, first: Duration, most: Duration, asked: Option<Duration>, chance: u8) -> Duration {
    let doubled = first.saturating_mul(1u32.checked_shl(failures.saturating_sub(1)).unwrap_or(u32::MAX)).min(most);
    let jittered = doubled - doubled.mul_f64(f64::from(chance) / 255.0 / 4.0);
    // A source that asks for a year is asked again in a day.
    jittered.max(asked.unwrap_or_default().min(super::hosts::PEACE))
}

/// When the next pull after a good one is due: up to a twentieth late, so that feeds
/// that began together part.
pub fn next_pull(now: Moment, every: Duration, chance: u8) -> Moment {
    now.plus(every + every.mul_f64(f64::from(chance) / 255.0 / 20.0))
}

/// How long after the first of several new feeds each one begins, so that they do not
/// all come at once: spread over a minute, or over the shortest of what they wait.
pub fn stagger(place: usize, of: usize, every: Duration) -> Duration {
    every.min(Duration::from_secs(60)).mul_f64(place as f64 / of.max(1) as f64)
}

/// Whether a page that leads on to its own address is the last one: a source that is
/// at its end may name the same place again, but then it has nothing there.
pub fn at_end(next_is_own: bool, records: usize) -> Result<bool, &'static str> {
    match (next_is_own, records) {
        (true, 0) => Ok(true),
        (true, _) => Err("its cursor stays where it is, so the rest of it cannot be read"),
        (false, _) => Ok(false),
    }
}

/// The share of open postings that a full pull may close without a word from its
/// platform: none where it brought nothing at all, or where some records were too
/// broken to know which they are.
pub fn share(configured: f64, received: u64, unnamed: u64) -> f64 {
    if received == 0 || unnamed > 0 { 0.0 } else { configured }
}

/// What leads on from a page.
#[derive(Clone, Debug, Default)]
pub struct Leads<'a> {
    /// The adapter's cursor in the body.
    pub cursor: Option<&'a str>,
    pub links: &'a [String],
    pub cursor_param: Option<&'a str>,
    pub page_param: Option<&'a str>,
    /// Number of the page, from 1.
    pub page: u32,
    pub records: usize,
}

/// The reference of the next page, to be resolved against the page's address; none
/// after the last. A cursor that is no link and has no parameter is an error.
pub fn next(leads: &Leads<'_>) -> Result<Option<Next>, &'static str> {
    if let Some(link) = leads.links.iter().find_map(|header| next_link(header)) {
        return Ok(Some(Next::Link(link)));
    }
    if let Some(cursor) = leads.cursor.filter(|c| !c.is_empty()) {
        let link = cursor.starts_with("http://") || cursor.starts_with("https://") || cursor.starts_with(['/', '?']);
        return match leads.cursor_param {
            Some(param) => Ok(Some(Next::Param(param.to_owned(), cursor.to_owned()))),
            None if link => Ok(Some(Next::Link(cursor.to_owned()))),
            None => Err("the answer names a next page by a cursor, and the feed has no cursor_param"),
        };
    }
    match leads.page_param {
        Some(param) if leads.records > 0 => Ok(Some(Next::Param(param.to_owned(), (leads.page + 1).to_string()))),
        _ => Ok(None),
    }
}

/// See [`next`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    Link(String),
    /// The page's own address with this query parameter.
    Param(String, String),
}

/// The target of `rel="next"` in a Link header (RFC 8288 §3).
fn next_link(header: &str) -> Option<String> {
    let mut rest = header;
    while let Some(open) = rest.find('<') {
        let close = open + rest[open..].find('>')?;
        let target = &rest[open + 1..close];
        let parameters = &rest[close + 1..];
        // A comma ends the link unless it stands in quotes or before no `<`.
        let end = parameters.match_indices(',').map(|(at, _)| at).find(|at| parameters[at + 1..].trim_start().starts_with('<'));
        let own = &parameters[..end.unwrap_or(parameters.len())];
        let is_next = own.split(';').filter_map(|p| p.split_once('=')).any(|(name, value)| {
            name.trim().eq_ignore_ascii_case("rel")
                && value.trim().trim_matches('"').split_whitespace().any(|r| r.eq_ignore_ascii_case("next"))
        });
        if is_next {
            return Some(target.to_owned());
        }
        rest = &parameters[end.unwrap_or(parameters.len())..];
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn only_a_whole_answer_is_taken() {
        assert_eq!(judge(200, false), Verdict::Take);
        assert_eq!((judge(304, true), judge(304, false)), (Verdict::Same, Verdict::Refused { host: false }));
        for status in [201, 204, 206, 301, 400, 401, 403, 404, 410] {
            assert_eq!(judge(status, true), Verdict::Refused { host: false }, "{status}");
        }
        for status in [408, 429, 500, 502, 503, 504] {
            assert_eq!(judge(status, true), Verdict::Refused { host: true }, "{status}");
        }
    }

    #[test]
    fn pauses_double_up_to_the_most_and_heed_the_source() {
        let pause = |failures, chance| pause(failures, SECOND, SECOND * 60, None, chance);
        assert_eq!((pause(1, 0), pause(2, 0), pause(3, 0)), (SECOND, SECOND * 2, SECOND * 4));
        assert_eq!((pause(7, 0), pause(40, 0), pause(u32::MAX, 0)), (SECOND * 60, SECOND * 60, SECOND * 60));
        assert_eq!(pause(7, 255), SECOND * 45);
        assert_eq!(super::pause(1, SECOND, SECOND * 60, Some(SECOND * 300), 9), SECOND * 300);
        assert_eq!(super::pause(1, SECOND, SECOND * 60, Some(SECOND * 9_999_999), 9), SECOND * 86_400);
    }

    #[test]
    fn feeds_that_are_new_together_begin_one_after_the_other() {
        let begin = |place| stagger(place, 4, Duration::from_secs(900)).as_secs();
        assert_eq!((0..4).map(begin).collect::<Vec<_>>(), [0, 15, 30, 45]);
        assert_eq!((stagger(0, 1, SECOND), stagger(1, 2, SECOND * 10)), (Duration::ZERO, SECOND * 5));
    }

    #[test]
    fn a_page_that_leads_to_itself_is_the_end_only_if_it_is_empty() {
        assert_eq!((at_end(false, 0), at_end(false, 9), at_end(true, 0)), (Ok(false), Ok(false), Ok(true)));
        assert!(at_end(true, 9).is_err());
    }

    #[test]
    fn what_was_not_wholly_read_closes_nothing_by_itself() {
        assert_eq!((share(0.2, 5, 0), share(1.0, 0, 0), share(1.0, 5, 1)), (0.2, 0.0, 0.0));
    }

    #[test]
    fn the_next_pull_comes_at_its_time_or_a_little_later() {
        let (now, every) = (Moment::from_ms(0), Duration::from_secs(1000));
        assert_eq!((next_pull(now, every, 0).ms(), next_pull(now, every, 255).ms()), (1_000_000, 1_050_000));
    }

    #[test]
    fn the_next_page_is_a_link_a_cursor_or_a_number() {
        let links = ["<https://a.example/?p=1>; rel=\"prev\", </jobs?p=3,4>; title=\"x\"; rel=\"last next\"".to_owned()];
        let none = Leads { page: 1, records: 5, ..Leads::default() };
        assert_eq!(next(&none), Ok(None));
        assert_eq!(next(&Leads { links: &links, ..none.clone() }), Ok(Some(Next::Link("/jobs?p=3,4".to_owned()))));
        assert_eq!(next(&Leads { cursor: Some("/v1?x"), ..none.clone() }), Ok(Some(Next::Link("/v1?x".to_owned()))));
        let param = |name: &str, value: &str| Ok(Some(Next::Param(name.to_owned(), value.to_owned())));
        assert_eq!(next(&Leads { cursor: Some("MT-9"), cursor_param: Some("after"), ..none.clone() }), param("after", "MT-9"));
        assert!(next(&Leads { cursor: Some("MT-9"), ..none.clone() }).is_err());
        assert_eq!(next(&Leads { page_param: Some("page"), ..none.clone() }), param("page", "2"));
        assert_eq!(next(&Leads { page_param: Some("page"), records: 0, ..none }), Ok(None));
    }
}
