//! The figures as tables: printed as they are measured, and at the end written to a document.

use std::fmt::Write;

/// Everything that was measured, in the order in which it was.
#[derive(Default)]
pub(crate) struct Report {
    tables: Vec<Table>,
    bounds: Vec<Bound>,
    /// The plot's data: the calls per second for so many clients.
    pub(crate) lines: Vec<Line>,
}

/// A figure with a bound: its name, the figure, the bound, and whether it is kept.
struct Bound(String, String, String, bool);

/// A line of the plot.
pub(crate) struct Line {
    pub(crate) name: String,
    pub(crate) points: Vec<(usize, f64)>,
}

impl Report {
    /// Adds a table, and prints it.
    pub(crate) fn add(&mut self, table: Table) {
        println!("{}", table.text());
        self.tables.push(table);
    }

    /// Adds a figure that must be at most the bound.
    pub(crate) fn at_most(&mut self, what: impl Into<String>, figure: f64, bound: f64, unit: &str) {
        let (shown, most) = (number(figure) + unit, format!("≤ {bound}{unit}"));
        self.bounds.push(Bound(what.into(), shown, most, figure <= bound));
    }

    /// Adds a figure that must be at least the bound.
    pub(crate) fn at_least(
        &mut self,
        what: impl Into<String>,
        figure: f64,
        bound: f64,
        unit: &str,
    ) {
        let (shown, least) = (number(figure) + unit, format!("≥ {bound}{unit}"));
        self.bounds.push(Bound(what.into(), shown, least, bound <= figure));
    }

    /// Adds a table of the bounds. Returns whether all are kept.
    pub(crate) fn judge(&mut self) -> bool {
        let bounds = std::mem::take(&mut self.bounds);
        let mut table = Table::new("Bounds", &["", "figure", "bound", ""]);
        for Bound(what, figure, bound, is_kept) in &bounds {
            let verdict = if *is_kept { "kept" } else { "MISSED" };
            table.row([what.clone(), figure.clone(), bound.clone(), verdict.to_owned()]);
        }
        if !bounds.is_empty() {
            self.add(table);
        }
        bounds.iter().all(|Bound(.., is_kept)| *is_kept)
    }

    /// All tables, as Markdown.
    pub(crate) fn markdown(&self) -> String {
        self.tables.iter().map(Table::markdown).collect()
    }
}

/// Rows of figures under their names.
pub(crate) struct Table {
    title: String,
    head: Vec<&'static str>,
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(crate) fn new(title: impl Into<String>, head: &[&'static str]) -> Table {
        Table { title: title.into(), head: head.to_vec(), rows: Vec::new() }
    }

    pub(crate) fn row<const N: usize>(&mut self, cells: [String; N]) {
        assert_eq!(cells.len(), self.head.len(), "a cell for each column");
        self.rows.push(cells.into());
    }

    fn text(&self) -> String {
        let head: Vec<_> = self.head.iter().map(|name| (*name).to_owned()).collect();
        let rows: Vec<_> = [&head].into_iter().chain(&self.rows).collect();
        let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max();
        let widths: Vec<_> = (0..head.len()).map(|column| width(column).unwrap_or(0)).collect();
        let mut text = format!("{}\n", self.title);
        for row in rows {
            let cells = row.iter().zip(&widths).enumerate();
            let cells = cells.map(|(column, (cell, width))| match column {
                0 => format!("  {cell:<width$}"),
                _ => format!("  {cell:>width$}"),
            });
            // Writing to memory does not fail.
            let _ = writeln!(text, "{}", cells.collect::<String>().trim_end());
        }
        text
    }

    fn markdown(&self) -> String {
        let line = |cells: Vec<&str>| format!("| {} |\n", cells.join(" | "));
        let rule = self.head.iter().enumerate().map(|(column, _)| match column {
            0 => "---",
            _ => "---:",
        });
        let rows = self.rows.iter().map(|row| line(row.iter().map(String::as_str).collect()));
        let rows: String = rows.collect();
        let (head, rule) = (line(self.head.clone()), line(rule.collect()));
        format!("### {}\n\n{head}{rule}{rows}\n", self.title)
    }
}

/// A readable number: three significant digits, and separated thousands.
pub(crate) fn number(value: f64) -> String {
    let digits = match value {
        value if value < 1.0 => format!("{value:.3}"),
        value if value < 10.0 => format!("{value:.2}"),
        value if value < 100.0 => format!("{value:.1}"),
        value => format!("{value:.0}"),
    };
    let (whole, rest) = digits.split_at(digits.find('.').unwrap_or(digits.len()));
    let mut grouped = String::new();
    for (index, digit) in whole.chars().enumerate() {
        if 0 < index && (whole.len() - index) % 3 == 0 {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped + rest
}

/// Bytes in MiB.
pub(crate) fn mebibytes(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
}
