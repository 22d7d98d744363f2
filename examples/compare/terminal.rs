//! The table for the terminal: the page in one line for each store.

use comfy_table::{ContentArrangement, Table, presets};

use crate::result::Run;
use crate::tables::glance;

pub(crate) fn table(run: &Run) -> String {
    let glance = glance(run);
    let mut table = Table::new();
    table.load_preset(presets::UTF8_HORIZONTAL_ONLY);
    table.set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(glance.head);
    for row in glance.rows {
        table.add_row(row);
    }
    let absent: Vec<String> =
        run.absent.iter().map(|(title, why)| format!("\nnot measured: {title}: {why}")).collect();
    format!("{table}{}", absent.concat())
}
