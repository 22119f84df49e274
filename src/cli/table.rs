//! Tables: columns as wide as what is in them, the last one as it comes.

use crate::observe::text::aligned;

/// A table with a head line; `none` where there is no row.
pub(super) fn table<const N: usize>(head: [&str; N], rows: Vec<[String; N]>, none: &str) -> String {
    if rows.is_empty() {
        return format!("{none}\n");
    }
    columns(head, rows, "  ").into_iter().map(|line| line + "\n").collect()
}

/// The lines of a table, with so much between its columns.
pub(super) fn columns<const N: usize>(head: [&str; N], rows: Vec<[String; N]>, between: &str) -> Vec<String> {
    let lines: Vec<[String; N]> = std::iter::once(head.map(str::to_owned)).chain(rows).collect();
    aligned(&lines, between)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stand_under_their_heads() {
        let rows = [["web", "1"], ["a-longer-name", "22"]].map(|row| row.map(str::to_owned));
        assert_eq!(
            table(["ROUTE", "N"], rows.to_vec(), "nothing"),
            "ROUTE          N\nweb            1\na-longer-name  22\n"
        );
        assert_eq!(table(["ROUTE"], Vec::new(), "no routes"), "no routes\n");
    }
}
