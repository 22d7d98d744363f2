//! The table for the terminal: the page in one line for each store.

use comfy_table::presets::ASCII_MARKDOWN;
use comfy_table::{ColumnConstraint, ContentArrangement, Table};

use crate::result::Run;
use crate::tables::glance;

/// As wide as most terminals can be made.
const WIDTH: u16 = 140;

pub(crate) fn table(run: &Run) -> String {
    let glance = glance(run);
    let mut table = Table::new();
    table.load_style(ASCII_MARKDOWN);
    table.set_content_arrangement(ContentArrangement::Dynamic).set_width(WIDTH);
    table.set_header(glance.head);
    for row in glance.rows {
        table.add_row(row);
    }
    if let Some(titles) = table.column_mut(0) {
        titles.set_constraint(ColumnConstraint::ContentWidth);
    }
    let absent: Vec<String> =
        run.absent.iter().map(|(title, why)| format!("\nnot measured: {title}: {why}")).collect();
    format!("{table}{}", absent.concat())
}
