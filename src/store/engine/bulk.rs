//! Statements over lists. A statement is prepared for a few lengths only, so that it
//! stays prepared: longer lists are sent in pieces, shorter ones of keys filled up.

use super::{Row, Sql, StoreError, Val};
use std::sync::OnceLock;

/// Lengths of pieces.
const LENGTHS: [usize; 3] = [64, 8, 1];

/// A statement with `{list}` in it, for keys `($3, $4, …)`, for rows `($3, $4), ($5, $6), …`.
pub struct Bulk {
    text: &'static str,
    /// Parameters that stand before the list, used by its text.
    fixed: usize,
    /// A list of rows, each in its parentheses, or one of keys.
    rows: bool,
    /// Values of each row; 1 for a list of keys.
    columns: usize,
    /// What each row begins with.
    lead: &'static str,
    lengths: [OnceLock<String>; LENGTHS.len()],
}

impl Bulk {
    /// A statement with `IN {list}`.
    pub const fn keys(text: &'static str, fixed: usize) -> Self {
        Self { text, fixed, rows: false, columns: 1, lead: "", lengths: [const { OnceLock::new() }; LENGTHS.len()] }
    }

    /// A statement with `VALUES {list}`, each row of so many values after `lead`,
    /// which may hold the fixed parameters: `"$1, 'offered', "`.
    pub const fn rows(text: &'static str, fixed: usize, lead: &'static str, columns: usize) -> Self {
        Self { text, fixed, rows: true, columns, lead, lengths: [const { OnceLock::new() }; LENGTHS.len()] }
    }

    fn sql(&'static self, length: usize) -> &'static str {
        self.lengths[length].get_or_init(|| {
            let mut list = String::new();
            let mut place = self.fixed;
            for row in 0..LENGTHS[length] {
                let opens = if self.rows || row == 0 { "(" } else { "" };
                list += if row > 0 { ", " } else { "" };
                list += opens;
                list += self.lead;
                for column in 0..self.columns {
                    place += 1;
                    list += if column > 0 { ", $" } else { "$" };
                    list += &place.to_string();
                }
                list += if self.rows || row + 1 == LENGTHS[length] { ")" } else { "" };
            }
            self.text.replace("{list}", &list)
        })
    }

    /// Reads for each of these keys, however many there are; a key that stands there
    /// twice may be answered twice.
    pub fn query(&'static self, s: &mut dyn Sql, fixed: &[Val], keys: &[Val]) -> Result<Vec<Row>, StoreError> {
        let mut out = Vec::new();
        self.each(fixed, keys, |sql, params| {
            out.extend(s.query(sql, params)?);
            Ok(())
        })?;
        Ok(out)
    }

    /// Runs for each of these keys; says how many rows it touched.
    pub fn exec(&'static self, s: &mut dyn Sql, fixed: &[Val], keys: &[Val]) -> Result<u64, StoreError> {
        let mut touched = 0;
        self.each(fixed, keys, |sql, params| {
            touched += s.exec(sql, params)?;
            Ok(())
        })?;
        Ok(touched)
    }

    fn each(
        &'static self,
        fixed: &[Val],
        keys: &[Val],
        mut run: impl FnMut(&'static str, &[Val]) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        for piece in keys.chunks(LENGTHS[0]) {
            let length = (0..LENGTHS.len()).rev().find(|at| LENGTHS[*at] >= piece.len()).unwrap_or(0);
            let mut params = fixed.to_vec();
            params.extend_from_slice(piece);
            params.resize(fixed.len() + LENGTHS[length], piece[piece.len() - 1].clone());
            run(self.sql(length), &params)?;
        }
        Ok(())
    }

    /// Inserts rows, a piece of `values` for each; for each piece that touched fewer
    /// rows than it has, `short` is told which rows they were.
    pub fn insert(
        &'static self,
        s: &mut dyn Sql,
        fixed: &[Val],
        values: &[Val],
        mut short: impl FnMut(&mut dyn Sql, std::ops::Range<usize>) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let rows = values.len() / self.columns;
        let mut done = 0;
        while done < rows {
            let length = LENGTHS.iter().position(|n| *n <= rows - done).unwrap_or(LENGTHS.len() - 1);
            let until = done + LENGTHS[length];
            let mut params = fixed.to_vec();
            params.extend_from_slice(&values[done * self.columns..until * self.columns]);
            if s.exec(self.sql(length), &params)? < LENGTHS[length] as u64 {
                short(s, done..until)?;
            }
            done = until;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    static KEYS: Bulk = Bulk::keys("SELECT a FROM t WHERE b = $1 AND a IN {list}", 1);
    static ROWS: Bulk = Bulk::rows("INSERT INTO t (c, a, b) VALUES {list}", 1, "$1, ", 2);

    /// Remembers how many values each statement was sent, and touches one row less
    /// than it was asked where that is 17 values.
    #[derive(Default)]
    struct Told(Vec<(String, usize)>);

    impl Sql for Told {
        fn exec(&mut self, sql: &'static str, params: &[Val]) -> Result<u64, StoreError> {
            self.0.push((sql.to_owned(), params.len()));
            Ok((params.len() / 2) as u64 - u64::from(params.len() == 17))
        }
        fn query(&mut self, sql: &'static str, params: &[Val]) -> Result<Vec<Row>, StoreError> {
            self.0.push((sql.to_owned(), params.len()));
            Ok(vec![Row(params.to_vec())])
        }
        fn batch(&mut self, _: &str) -> Result<(), StoreError> {
            Ok(())
        }
    }

    #[test]
    fn keys_are_filled_up_to_one_of_few_lengths() {
        let keys: Vec<Val> = (0..70).map(Val::from).collect();
        let mut told = Told::default();
        let rows = KEYS.query(&mut told, &[Val::from(-1)], &keys).unwrap();
        assert_eq!(told.0.iter().map(|(_, n)| *n).collect::<Vec<_>>(), [65, 9]);
        assert_eq!(rows[1].0[0], Val::from(-1));
        assert_eq!(rows[1].0[1..], [64, 65, 66, 67, 68, 69, 69, 69].map(Val::from));
        let mut told = Told::default();
        KEYS.query(&mut told, &[Val::from(-1)], &keys[..1]).unwrap();
        assert_eq!(told.0, [("SELECT a FROM t WHERE b = $1 AND a IN ($2)".to_owned(), 2)]);
        KEYS.query(&mut told, &[], &[]).unwrap();
        assert_eq!(told.0.len(), 1, "nothing is asked for nobody");
    }

    #[test]
    fn rows_are_sent_in_pieces_and_short_pieces_are_told() {
        let values: Vec<Val> = (0..2 * 74).map(Val::from).collect();
        let (mut told, mut short) = (Told::default(), Vec::new());
        ROWS.insert(&mut told, &[Val::from(-1)], &values, |_, rows| {
            short.push((rows.start, rows.end));
            Ok(())
        })
        .unwrap();
        assert_eq!(told.0.iter().map(|(_, n)| *n).collect::<Vec<_>>(), [129, 17, 3, 3]);
        assert_eq!(told.0[2].0, "INSERT INTO t (c, a, b) VALUES ($1, $2, $3)");
        assert!(told.0[1].0.contains("VALUES ($1, $2, $3), ($1, $4, $5), "));
        assert!(told.0[1].0.ends_with(", ($1, $16, $17)"));
        assert_eq!(short, [(64, 72)]);
    }

    #[test]
    fn rows_of_one_value_keep_what_leads_each_of_them() {
        static ONE: Bulk = Bulk::rows("INSERT INTO t (c, a) VALUES {list}", 1, "$1, ", 1);
        let mut told = Told::default();
        ONE.insert(&mut told, &[Val::from(-1)], &(0..9).map(Val::from).collect::<Vec<_>>(), |_, _| Ok(())).unwrap();
        assert!(told.0[0].0.contains("VALUES ($1, $2), ($1, $3), ") && told.0[0].0.ends_with(", ($1, $9)"));
        assert_eq!(told.0[1].0, "INSERT INTO t (c, a) VALUES ($1, $2)");
    }
}
