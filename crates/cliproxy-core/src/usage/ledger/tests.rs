//! What the ledger keeps, for how long, and what it does with databases that it cannot use.

use cliproxy_wire::Format;
use cliproxy_wire::model::Usage;

use std::sync::atomic::AtomicU64;

use super::*;
use crate::provider::Operation;
use crate::usage::{By, Outcome, ShortIds, Span, Ticket, Totals};

pub(crate) fn record(model: &str, at: u64) -> Record {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    Record {
        ticket: Arc::new(Ticket::new(NUMBER.fetch_add(1, Ordering::Relaxed), true)),
        request_id: "req".into(),
        at,
        client: Some("laptop".into()),
        parent: None,
        format: Format::Chat,
        operation: Operation::Generate,
        requested_model: model.into(),
        upstream_model: Some(model.into()),
        provider: Some("claude".into()),
        credential: None,
        lane: "translate",
        attempts: 1,
        outcome: Outcome::Complete,
        error: None,
        usage: Usage { input: Some(100), output: Some(20), cache_read: Some(50), ..Usage::default() },
        first_byte: Some(Duration::from_millis(5)),
        total: Duration::from_millis(9),
        cost: Some(0.25),
        prices: Some("table".into()),
        is_kept: true,
    }
}

fn open(directory: &Path) -> Ledger {
    Ledger::open(directory).unwrap()
}

fn run(ledger: &Ledger, text: &str) {
    ledger.with(|database| Ok(database.execute_batch(text)?)).unwrap();
}

/// The journal of the one process that has one.
fn journal(ledger: &Ledger) -> PathBuf {
    ledger.0.path.with_file_name(format!("usage-{}-0.journal", ledger.0.run))
}

#[test]
fn what_was_recorded_is_there_after_a_restart_and_counted_once() {
    let directory = tempfile::tempdir().unwrap();
    let ledger = open(directory.path());
    ledger.record(&record("m", 10));
    ledger.record(&Record { outcome: Outcome::Failed, cost: None, ..record("n", 20) });
    ledger.record(&Record { is_kept: false, ..record("unwanted", 20) });
    // The process ends before anything was carried over.
    drop(ledger);
    let ledger = open(directory.path());
    ledger.record(&record("m", 30));
    let totals = ledger.totals(Span::ALL).unwrap();
    assert_eq!((totals.requests, totals.complete, totals.failed), (3, 2, 1));
    assert_eq!((totals.input, totals.output, totals.cache_read), (300, 60, 150));
    assert!((totals.cost - 0.5).abs() < 1e-9 && totals.unpriced == 1);
    let by = ledger.totals_by(By::Model, Span { from: 10, until: 30 }).unwrap();
    assert_eq!(
        by.iter().map(|(name, totals)| (name.as_str(), totals.requests)).collect::<Vec<_>>(),
        [("m", 1), ("n", 1)]
    );
    let rows = ledger.rows(Span::ALL, 1, 10).unwrap();
    assert_eq!(rows.iter().map(|row| row.at).collect::<Vec<_>>(), [20, 30]);
    assert_eq!(rows[1].prices.as_deref(), Some("table"));
}

#[test]
fn rows_that_were_carried_over_and_not_forgotten_are_one() {
    let directory = tempfile::tempdir().unwrap();
    let ledger = open(directory.path());
    ledger.record(&record("m", 10));
    let path = journal(&ledger);
    let journal = std::fs::read(&path).unwrap();
    ledger.carry().unwrap();
    // As if the process had ended between the commit and the removal, with half a row at the end.
    let mut left = journal.clone();
    left.extend_from_slice(b"{\"key\":\"half");
    atomic::write(&path.with_extension("journal.carried"), &left).unwrap();
    drop(ledger);
    assert_eq!(open(directory.path()).totals(Span::ALL).unwrap().requests, 1);
}

/// What a request leaves if the process ends now.
fn noted(record: &Record, input: u64) -> Record {
    let usage = Usage { input: Some(input), ..Usage::default() };
    Record { outcome: Outcome::Killed, usage, ..record.clone() }
}

#[test]
fn a_request_on_its_way_when_the_process_is_killed_is_a_row_and_no_other_is_two() {
    let directory = tempfile::tempdir().unwrap();
    let ledger = open(directory.path());
    let (carried, ended, underway) = (record("carried", 10), record("ended", 20), record("underway", 30));
    for record in [&carried, &ended, &underway] {
        ledger.note(&noted(record, 0));
    }
    ledger.note_usage(&noted(&underway, 7));
    ledger.record(&carried);
    ledger.carry().unwrap();
    ledger.record(&ended);
    // Whoever looks on leaves what is on its way to the living.
    assert_eq!(open(directory.path()).totals(Span::ALL).unwrap().requests, 1);
    drop(ledger);
    for _ in 0..2 {
        let rows = open(directory.path()).rows(Span::ALL, 0, 10).unwrap();
        let seen: Vec<_> =
            rows.iter().map(|row| (row.requested_model.as_str(), row.outcome.as_str(), row.input)).collect();
        assert!(rows.iter().all(|row| row.cost == Some(0.25) && row.prices.as_deref() == Some("table")));
        assert_eq!(
            seen,
            [("carried", "complete", 100), ("ended", "complete", 100), ("underway", "killed", 7)]
        );
    }
    let totals = open(directory.path()).totals(Span::ALL).unwrap();
    assert_eq!((totals.requests, totals.killed, totals.failed), (3, 1, 0));
    assert_eq!(
        open(directory.path()).statistics(40, &ShortIds::default()).unwrap().failure_count,
        1,
        "panels know two ends only"
    );
}

#[test]
fn what_was_forgotten_does_not_come_back_from_a_note() {
    let directory = tempfile::tempdir().unwrap();
    let ledger = open(directory.path());
    let old = record("old", 10);
    ledger.note(&noted(&old, 0));
    ledger.record(&old);
    ledger.carry().unwrap();
    ledger.forget(Bounds { age: Some(Duration::from_mins(1)), bytes: 1 << 40 }, 1000).unwrap();
    drop(ledger);
    assert_eq!(open(directory.path()).totals(Span::ALL).unwrap().requests, 0);
}

#[test]
fn two_processes_on_one_directory_lose_nothing_of_each_other() {
    let directory = tempfile::tempdir().unwrap();
    let (first, second) = (open(directory.path()), open(directory.path()));
    first.record(&record("of the first", 10));
    second.record(&record("of the second", 20));
    // A third one looks on, and leaves what is in the journals of the living to them.
    assert_eq!(open(directory.path()).totals(Span::ALL).unwrap().requests, 0);
    first.record(&record("of the first", 30));
    first.carry().unwrap();
    assert_eq!(second.totals(Span::ALL).unwrap().requests, 3);
    drop((first, second));
    drop(open(directory.path()));
    let left = std::fs::read_dir(directory.path()).unwrap().map(|entry| entry.unwrap().file_name());
    let left: Vec<_> = left.filter(|name| name.to_string_lossy().starts_with("usage-")).collect();
    assert_eq!(left.len(), 0, "what ended left nothing behind: {left:?}");
}

#[test]
fn what_is_too_old_or_too_much_is_forgotten_oldest_first() {
    let directory = tempfile::tempdir().unwrap();
    let ledger = open(directory.path());
    let long = "m".repeat(2000);
    for at in 0..400 {
        ledger.record(&record(&long, at));
    }
    ledger.carry().unwrap();
    let bounds = Bounds { age: Some(Duration::from_mins(5)), bytes: 1 << 40 };
    ledger.forget(bounds, 400).unwrap();
    assert_eq!(ledger.rows(Span::ALL, 0, 1).unwrap()[0].at, 100);
    ledger.forget(Bounds { age: None, bytes: 600_000 }, 400).unwrap();
    let rows = ledger.rows(Span::ALL, 0, 1000).unwrap();
    assert!(rows.len() < 250 && rows.last().unwrap().at == 399, "{}", rows.len());
    assert!(rows.len() > 20, "{}", rows.len());
}

#[test]
fn a_damaged_or_newer_database_is_set_aside_and_kept() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join(FILE);
    atomic::write(&path, b"this is not a database, whatever its name says").unwrap();
    let ledger = open(directory.path());
    ledger.record(&record("m", 10));
    assert_eq!(ledger.totals(Span::ALL).unwrap().requests, 1);
    run(&ledger, "PRAGMA user_version = 99");
    drop(ledger);
    assert_eq!(open(directory.path()).totals(Span::ALL).unwrap(), Totals::default());
    let aside = |number: u32| directory.path().join(format!("{FILE}.aside-{number}"));
    assert!(std::fs::read(aside(1)).unwrap().starts_with(b"this is not"));
    assert!(std::fs::read(aside(2)).unwrap().starts_with(b"SQLite format 3"));
}

#[test]
fn a_database_that_breaks_while_it_is_used_is_set_aside_and_no_row_is_lost() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join(FILE);
    {
        let ledger = open(directory.path());
        ledger.record(&record("before", 10));
        ledger.carry().unwrap();
        run(&ledger, "PRAGMA wal_checkpoint(TRUNCATE)");
    }
    let mut content = std::fs::read(&path).unwrap();
    let length = content.len();
    content[4096..length].fill(0xff);
    atomic::write(&path, &content).unwrap();
    let ledger = open(directory.path());
    ledger.record(&record("after", 20));
    let rows = ledger.rows(Span::ALL, 0, 10).unwrap();
    assert_eq!(rows.iter().map(|row| row.requested_model.as_str()).collect::<Vec<_>>(), ["after"]);
}

#[cfg(unix)]
#[test]
fn a_storage_that_fails_stops_recording_and_says_so() {
    use std::os::unix::fs::symlink;
    let directory = tempfile::tempdir().unwrap();
    let ledger = open(directory.path());
    let journal = journal(&ledger);
    // Every write to it fails as on a full disk.
    symlink("/dev/full", &journal).unwrap();
    ledger.record(&record("lost", 10));
    assert!(ledger.is_stopped());
    std::fs::remove_file(&journal).unwrap();
    ledger.carry().unwrap();
    ledger.record(&record("kept", 20));
    assert!(!ledger.is_stopped());
    assert_eq!(ledger.totals(Span::ALL).unwrap().requests, 1);
}

#[cfg(unix)]
#[test]
fn what_could_not_be_recorded_does_not_come_back_as_killed() {
    use std::os::unix::fs::symlink;
    let directory = tempfile::tempdir().unwrap();
    let ledger = open(directory.path());
    let (lost, underway) = (record("lost", 10), record("underway", 20));
    for record in [&lost, &underway] {
        ledger.note(&noted(record, 1));
    }
    symlink("/dev/full", journal(&ledger)).unwrap();
    ledger.record(&lost);
    assert!(ledger.is_stopped());
    std::fs::remove_file(journal(&ledger)).unwrap();
    drop(ledger);
    let rows = open(directory.path()).rows(Span::ALL, 0, 10).unwrap();
    assert_eq!(rows.iter().map(|row| &*row.requested_model).collect::<Vec<_>>(), ["underway"]);
}

#[cfg(unix)]
#[test]
fn its_files_are_for_their_owner_only() {
    use std::os::unix::fs::PermissionsExt as _;
    let directory = tempfile::tempdir().unwrap();
    let inner = directory.path().join("inner");
    let ledger = open(&inner);
    ledger.record(&record("m", 10));
    for entry in std::fs::read_dir(&inner).unwrap() {
        let entry = entry.unwrap();
        let mode = entry.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{}", entry.path().display());
    }
    assert_eq!(std::fs::metadata(&inner).unwrap().permissions().mode() & 0o077, 0);
}

#[test]
fn nothing_is_opened_before_something_is_recorded_or_asked() {
    let directory = tempfile::tempdir().unwrap();
    let inner = directory.path().join("inner");
    let ledger = Ledger::new(&inner);
    ledger.take_over().unwrap();
    ledger.carry().unwrap();
    ledger.record(&Record { is_kept: false, ..record("unwanted", 10) });
    assert!(!ledger.is_open() && !inner.exists());
    ledger.record(&record("m", 10));
    assert!(!ledger.is_open(), "the journal is enough until rows are carried over");
    assert_eq!(ledger.totals(Span::ALL).unwrap().requests, 1);
}
