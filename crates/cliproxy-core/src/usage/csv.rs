//! Requests as comma separated values.

use super::Row;

/// The names of the columns.
pub const HEAD: &str = "time,request_id,client,format,requested_model,upstream_model,provider,credential,lane,attempts,outcome,input,cache_read,cache_write,output,reasoning,estimated,first_byte_ms,total_ms,cost,prices\n";

/// One request.
pub fn line(row: &Row) -> String {
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let number = |number: Option<u64>| number.map(|number| number.to_string()).unwrap_or_default();
    let cells = [
        row.at.to_string(),
        row.request_id.clone(),
        text(&row.client),
        row.format.clone(),
        row.requested_model.clone(),
        text(&row.upstream_model),
        text(&row.provider),
        text(&row.credential),
        row.lane.clone(),
        row.attempts.to_string(),
        row.outcome.clone(),
        row.input.to_string(),
        row.cache_read.to_string(),
        row.cache_write.to_string(),
        row.output.to_string(),
        row.reasoning.to_string(),
        row.is_estimated.to_string(),
        number(row.first_byte),
        row.total.to_string(),
        row.cost.map(|cost| cost.to_string()).unwrap_or_default(),
        text(&row.prices),
    ];
    cells.map(|cell| quoted(&cell)).join(",") + "\n"
}

/// A cell. One that a spreadsheet would run as a formula is made text.
fn quoted(cell: &str) -> String {
    let is_formula = cell.starts_with(['=', '+', '-', '@', '\t', '\r']);
    if is_formula || cell.contains(['"', ',', '\n', '\r']) {
        let guard = if is_formula { "'" } else { "" };
        return format!("\"{guard}{}\"", cell.replace('"', "\"\""));
    }
    cell.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_run_or_break_the_line_is_quoted() {
        for (cell, expected) in
            [("a b", "a b"), ("a,b", "\"a,b\""), ("say \"x\"", "\"say \"\"x\"\"\""), ("=1+1", "\"'=1+1\"")]
        {
            assert_eq!(quoted(cell), expected);
        }
    }
}
