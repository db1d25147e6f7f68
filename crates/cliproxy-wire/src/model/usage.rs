//! Token counts. Inclusive totals in the hub; the exclusive and split forms exist only at the edges.

use super::{Ext, Str};

/// What a request cost. A snapshot: later ones are merged field by field, never added.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Usage {
    /// Everything the model read: uncached, cache read, cache write and tool prompt tokens.
    pub input: Option<u64>,
    /// Part of `input` that was read from a cache.
    pub cache_read: Option<u64>,
    /// Part of `input` that was written to a cache.
    pub cache_write: Option<u64>,
    /// Part of `cache_write` with five minutes to live.
    pub cache_write_5m: Option<u64>,
    /// Part of `cache_write` with one hour to live.
    pub cache_write_1h: Option<u64>,
    /// Part of `input` that hosted tools added (Gemini).
    pub tool_prompt: Option<u64>,
    /// Everything the model wrote, reasoning included.
    pub output: Option<u64>,
    /// Part of `output` that was reasoning.
    pub reasoning: Option<u64>,
    /// Part of `input` that was sound.
    pub input_audio: Option<u64>,
    /// Part of `output` that was sound.
    pub output_audio: Option<u64>,
    /// Part of `input` that was images.
    pub input_image: Option<u64>,
    /// Part of `output` that was images.
    pub output_image: Option<u64>,
    /// Predicted tokens that were used.
    pub accepted_prediction: Option<u64>,
    /// Predicted tokens that were not.
    pub rejected_prediction: Option<u64>,
    /// Web searches made.
    pub web_searches: Option<u64>,
    /// Web pages fetched.
    pub web_fetches: Option<u64>,
    /// The tier that was charged, as the provider names it.
    pub tier: Option<Str>,
    /// Counted by us, not by the provider.
    pub is_estimated: bool,
    /// Other members of Google's object, counts by modality among them, for clients of that format. They say what the
    /// totals are made of and are no totals themselves.
    pub ext: Ext,
}

impl Usage {
    /// `input + output`, what is not known counted as nothing.
    pub fn total(&self) -> u64 {
        self.input.unwrap_or(0).saturating_add(self.output.unwrap_or(0))
    }

    /// Takes over every field that `newer` knows.
    pub fn merge(&mut self, newer: &Self) {
        macro_rules! take {
            ($($field:ident),*) => { $( if newer.$field.is_some() { self.$field.clone_from(&newer.$field); } )* };
        }
        take!(
            input,
            cache_read,
            cache_write,
            cache_write_5m,
            cache_write_1h,
            tool_prompt,
            output,
            reasoning,
            input_audio,
            output_audio,
            input_image,
            output_image,
            accepted_prediction,
            rejected_prediction,
            web_searches,
            web_fetches,
            tier
        );
        self.is_estimated = newer.is_estimated;
        for (name, value) in newer.ext.iter() {
            self.ext.set(name, value.clone());
        }
    }

    /// The counts with the invariants enforced: cache parts within `input`, reasoning within `output`.
    #[must_use]
    pub fn clamped(mut self) -> Self {
        if let Some(input) = self.input {
            let read = self.cache_read.map(|read| read.min(input));
            self.cache_write =
                self.cache_write.map(|write| write.min(input.saturating_sub(read.unwrap_or(0))));
            self.cache_read = read;
        }
        if let Some(output) = self.output {
            self.reasoning = self.reasoning.map(|reasoning| reasoning.min(output));
        }
        self
    }
}
