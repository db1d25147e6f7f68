//! Tables for people: columns as wide as what is in them, and lines below a row for what has no column.

/// On which side of its column a cell stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Left,
    Right,
}

/// A table, row by row.
#[derive(Debug)]
pub(super) struct Table {
    sides: Vec<Side>,
    rows: Vec<Row>,
}

#[derive(Debug, Default)]
struct Row {
    cells: Vec<String>,
    notes: Vec<String>,
}

impl Table {
    /// A table with these heads.
    pub(super) fn new<const COLUMNS: usize>(heads: [(&str, Side); COLUMNS]) -> Self {
        let cells = heads.iter().map(|(head, _)| (*head).to_owned()).collect();
        Self {
            sides: heads.iter().map(|(_, side)| *side).collect(),
            rows: vec![Row { cells, notes: Vec::new() }],
        }
    }

    /// Adds a row.
    pub(super) fn row<const COLUMNS: usize>(&mut self, cells: [String; COLUMNS]) {
        // An empty cell in the middle would look as if the next column's were its own.
        let last = cells.iter().rposition(|cell| !cell.is_empty()).unwrap_or_default();
        let cells = cells.into_iter().enumerate().map(|(column, cell)| {
            if cell.is_empty() && (1..last).contains(&column) { "-".to_owned() } else { cell }
        });
        self.rows.push(Row { cells: cells.collect(), notes: Vec::new() });
    }

    /// Adds a line below the last row.
    pub(super) fn note(&mut self, text: impl Into<String>) {
        if let Some(row) = self.rows.last_mut() {
            row.notes.push(text.into());
        }
    }

    /// The text.
    pub(super) fn render(&self) -> String {
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.cells.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or_default()
        };
        let columns: Vec<(Side, usize)> =
            self.sides.iter().enumerate().map(|(column, side)| (*side, width(column))).collect();
        let mut text = String::new();
        for row in &self.rows {
            let cells = row.cells.iter().zip(&columns).map(|(cell, (side, width))| match side {
                Side::Left => format!("{cell:<width$}"),
                Side::Right => format!("{cell:>width$}"),
            });
            text.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
            text.push('\n');
            for note in &row.notes {
                text.push_str("    ");
                text.push_str(note);
                text.push('\n');
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_cells_and_notes_stand_below_their_row() {
        let mut table = Table::new([("name", Side::Left), ("state", Side::Left), ("count", Side::Right)]);
        table.row(["ä".to_owned(), String::new(), "10".to_owned()]);
        table.note("a note that is longer than the table");
        table.row(["longer".to_owned(), "x".to_owned(), String::new()]);
        let expected = "name    state  count\nä       -         10\n    a note that is longer than the table\nlonger  x\n";
        assert_eq!(table.render(), expected);
    }
}
