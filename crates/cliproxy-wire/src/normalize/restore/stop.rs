//! Stop sequences that the upstream does not know: text is watched, cut at the first hit, and the answer ends there.

use std::collections::BTreeMap;

use crate::model::{Delta, Event, Ext, Status, Stop, StopReason, Str, Usage};

/// Watches the text of every candidate. Reasoning and arguments pass.
#[derive(Debug, Default)]
pub(super) struct Filter {
    sequences: Vec<Str>,
    expected: u64,
    candidates: BTreeMap<u32, Watched>,
    usage: Usage,
    /// Characters given out, for the estimate.
    characters: u64,
    pub(super) is_finished: bool,
}

/// One candidate.
#[derive(Debug, Default)]
struct Watched {
    /// Text that may be the beginning of a sequence, per open block.
    held: BTreeMap<u32, String>,
    open: Vec<u32>,
    is_stopped: bool,
    is_cut: bool,
}

impl Filter {
    pub(super) fn new(sequences: &[Str], candidates: u64) -> Self {
        Self { sequences: sequences.to_vec(), expected: candidates.max(1), ..Self::default() }
    }

    pub(super) fn is_idle(&self) -> bool {
        self.sequences.is_empty()
    }

    pub(super) fn event(&mut self, event: Event, out: &mut Vec<Event>) {
        if self.is_finished {
            return;
        }
        match event {
            Event::BlockStart { candidate, block, kind } => {
                let watched = self.candidates.entry(candidate).or_default();
                if !watched.is_cut {
                    watched.open.push(block);
                    out.push(Event::BlockStart { candidate, block, kind });
                }
            }
            Event::Delta { candidate, block, delta: Delta::Text(text) } => {
                self.text(candidate, block, &text, out);
            }
            Event::Delta { candidate, block, delta } => {
                if !self.is_cut(candidate) {
                    if let Delta::Arguments(text) | Delta::Refusal(text) | Delta::Reasoning { text, .. } =
                        &delta
                    {
                        self.characters += count(text);
                    }
                    out.push(Event::Delta { candidate, block, delta });
                }
            }
            Event::BlockStop { candidate, block, full } => {
                let watched = self.candidates.entry(candidate).or_default();
                if watched.is_cut {
                    return;
                }
                watched.open.retain(|open| *open != block);
                let rest = watched.held.remove(&block).unwrap_or_default();
                self.give(candidate, block, rest, out);
                out.push(Event::BlockStop { candidate, block, full });
            }
            Event::CandidateMeta { candidate, meta } => {
                if !self.is_cut(candidate) {
                    out.push(Event::CandidateMeta { candidate, meta });
                }
            }
            Event::CandidateStop { candidate, stop } => {
                let watched = self.candidates.entry(candidate).or_default();
                if !watched.is_cut {
                    watched.is_stopped = true;
                    out.push(Event::CandidateStop { candidate, stop });
                    self.end_if_complete(out);
                }
            }
            Event::Usage(usage) => {
                self.usage.merge(&usage);
                out.push(Event::Usage(usage));
            }
            Event::Start(start) => {
                if let Some(usage) = &start.usage {
                    self.usage.merge(usage);
                }
                out.push(Event::Start(start));
            }
            Event::End { .. } | Event::Error(_) | Event::Warning(_) | Event::Ping => out.push(event),
        }
    }

    fn is_cut(&self, candidate: u32) -> bool {
        self.candidates.get(&candidate).is_some_and(|watched| watched.is_cut)
    }

    fn text(&mut self, candidate: u32, block: u32, text: &str, out: &mut Vec<Event>) {
        let watched = self.candidates.entry(candidate).or_default();
        if watched.is_cut {
            return;
        }
        let held = watched.held.entry(block).or_default();
        held.push_str(text);
        if let Some((at, sequence)) = first_hit(held, &self.sequences) {
            held.truncate(at);
            let rest = std::mem::take(held);
            self.give(candidate, block, rest, out);
            self.cut(candidate, sequence, out);
            return;
        }
        let keep = longest_beginning(held, &self.sequences);
        let rest = held.split_off(held.len() - keep);
        let ready = std::mem::replace(held, rest);
        self.give(candidate, block, ready, out);
    }

    fn give(&mut self, candidate: u32, block: u32, text: String, out: &mut Vec<Event>) {
        if !text.is_empty() {
            self.characters += count(&text);
            out.push(Event::Delta { candidate, block, delta: Delta::Text(text) });
        }
    }

    fn cut(&mut self, candidate: u32, sequence: Str, out: &mut Vec<Event>) {
        let Some(watched) = self.candidates.get_mut(&candidate) else { return };
        watched.is_cut = true;
        watched.held.clear();
        for block in std::mem::take(&mut watched.open) {
            out.push(Event::BlockStop { candidate, block, full: None });
        }
        let stop = Stop { sequence: Some(sequence), ..Stop::new(StopReason::StopSequence) };
        out.push(Event::CandidateStop { candidate, stop });
        self.end_if_complete(out);
    }

    /// Ends the stream when every candidate stopped and one was cut here: the upstream would go on for nothing.
    fn end_if_complete(&mut self, out: &mut Vec<Event>) {
        let stopped = self.candidates.values().filter(|watched| watched.is_cut || watched.is_stopped).count();
        let is_cut = self.candidates.values().any(|watched| watched.is_cut);
        if !is_cut || (stopped as u64) < self.expected {
            return;
        }
        let mut usage = std::mem::take(&mut self.usage);
        let estimate = self.characters.div_ceil(4);
        usage.output = Some(usage.output.unwrap_or(0).max(estimate));
        usage.is_estimated = true;
        out.push(Event::Usage(Box::new(usage)));
        out.push(Event::End { status: Status::Completed, ext: Ext::new() });
        self.is_finished = true;
    }
}

fn count(text: &str) -> u64 {
    text.chars().count() as u64
}

/// The earliest hit; of several at one place the longest.
fn first_hit(text: &str, sequences: &[Str]) -> Option<(usize, Str)> {
    sequences
        .iter()
        .filter_map(|sequence| Some((text.find(&**sequence)?, sequence)))
        .min_by_key(|(at, sequence)| (*at, std::cmp::Reverse(sequence.len())))
        .map(|(at, sequence)| (at, Str::clone(sequence)))
}

/// Bytes at the end of `text` that may be the beginning of a sequence.
fn longest_beginning(text: &str, sequences: &[Str]) -> usize {
    let bytes = text.as_bytes();
    let mut longest = 0;
    for sequence in sequences {
        let most = bytes.len().min(sequence.len().saturating_sub(1));
        let fits = (longest + 1..=most).rev().find(|length| {
            let tail = bytes.get(bytes.len() - length..).unwrap_or_default();
            sequence.as_bytes().starts_with(tail)
        });
        longest = fits.unwrap_or(longest);
    }
    // Whole characters match, so the tail begins at one; make sure of it all the same.
    while longest > 0 && !text.is_char_boundary(text.len() - longest) {
        longest += 1;
    }
    longest.min(text.len())
}
