//! Which credential offers which model under which name. Built once per configuration.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use cliproxy_wire::Format;
use cliproxy_wire::catalog::Caps;
use cliproxy_wire::model::Mode;
use cliproxy_wire::profile::Profile;
use cliproxy_wire::reasoning::suffix;

use super::Rank;
use crate::credential::{Credential, CredentialId, Pool, Seat};

/// A credential's offer of a model.
#[derive(Clone, Debug)]
pub struct Offer {
    /// Who offers.
    pub credential: Arc<Credential>,
    /// The model's name at the upstream.
    pub upstream: Arc<str>,
    /// What the model can do.
    pub caps: Arc<Caps>,
    /// Answers carry the client's name for the model even where the upstream reports another.
    pub forces_name: bool,
    /// How the credential stands with this model.
    pub seat: Seat,
}

impl Offer {
    /// The dialect in which the upstream is asked for a client of this format.
    pub fn profile(&self, client: Format) -> &Arc<Profile> {
        self.credential.profile_for(client, &self.upstream)
    }
}

/// Everybody who offers a model, highest priority first, then in the order of credential ids.
#[derive(Clone, Debug)]
pub struct Offers {
    members: Vec<Offer>,
    ranks: Vec<Rank>,
    /// Where the last choice left off; shared with the tables before and after this one.
    turn: Arc<AtomicU64>,
    most_rounds: Option<u32>,
    /// Conversations stay with their account whatever configuration says, because it alone can read the reasoning that
    /// it encrypted.
    keeps_conversations: bool,
}

impl Offers {
    fn new(turn: Arc<AtomicU64>) -> Self {
        Self { members: Vec::new(), ranks: Vec::new(), turn, most_rounds: None, keeps_conversations: false }
    }

    /// Each offer.
    pub fn members(&self) -> &[Offer] {
        &self.members
    }

    /// The offers by priority.
    pub fn ranks(&self) -> &[Rank] {
        &self.ranks
    }

    /// The counter of turns.
    pub fn turn(&self) -> &AtomicU64 {
        &self.turn
    }

    /// Whether a conversation loses something when it moves from one account to another.
    pub fn keeps_conversations(&self) -> bool {
        self.keeps_conversations
    }

    /// The offer of a credential, by index.
    pub fn position(&self, id: &CredentialId) -> Option<usize> {
        self.ranks.iter().map(Rank::members).find_map(|rank| {
            let members = self.members.get(rank.clone())?;
            let at = members.partition_point(|offer| offer.credential.id < *id);
            members.get(at).is_some_and(|offer| offer.credential.id == *id).then_some(rank.start + at)
        })
    }

    /// The most rounds over all credentials that one of them wants, where one says so.
    pub fn most_rounds(&self) -> Option<u32> {
        self.most_rounds
    }

    fn finish(&mut self) {
        self.keeps_conversations = self.members.len() > 1
            && self.members.iter().any(|offer| {
                offer.credential.account.is_some() && offer.credential.profile.format == Format::Responses
            });
        self.most_rounds = self.members.iter().filter_map(|offer| offer.credential.request_retry).max();
        self.members.shrink_to_fit();
        let key = |offer: &Offer| (std::cmp::Reverse(offer.credential.priority), offer.credential.id.clone());
        self.members.sort_by_cached_key(key);
        let mut start = 0;
        for rank in self.members.chunk_by(|a, b| a.credential.priority == b.credential.priority) {
            let weights = rank.iter().map(|offer| offer.credential.weight);
            self.ranks.push(Rank::new(start..start + rank.len(), weights));
            start += rank.len();
        }
    }
}

/// A model as it is listed to clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// The name that clients use.
    pub id: Arc<str>,
    /// Owner.
    pub owned_by: Arc<str>,
    /// Unix seconds, where known.
    pub created: Option<u64>,
    /// Name for people.
    pub display_name: Option<Arc<str>>,
    /// Tokens it reads.
    pub input_limit: Option<u64>,
    /// Tokens it writes.
    pub output_limit: Option<u64>,
}

/// All models of a configuration.
#[derive(Debug, Default)]
pub struct Table {
    models: HashMap<Arc<str>, Offers>,
    folded: HashMap<String, Arc<str>>,
    listed: Vec<Listed>,
    credentials: Vec<Arc<Credential>>,
}

/// A model name resolved.
#[derive(Clone, Debug)]
pub struct Resolved<'t> {
    /// The name in the table, without suffix.
    pub model: Arc<str>,
    /// Reasoning wish of the suffix.
    pub suffix: Option<Mode>,
    /// Who offers it.
    pub offers: &'t Offers,
}

/// Builds a [`Table`].
#[derive(Debug)]
pub struct Builder<'p> {
    table: Table,
    pool: &'p Pool,
}

impl<'p> Builder<'p> {
    /// An empty table whose credentials take their seats in `pool`.
    pub fn new(pool: &'p Pool) -> Self {
        Self { table: Table::default(), pool }
    }

    /// Adds a credential with its models: `(what is listed, name at the upstream, what it can do, forces the name)`.
    /// The prefix of the credential is applied here; with `only_prefixed` the bare name of prefixed ones is not offered.
    pub fn add(
        &mut self,
        credential: &Arc<Credential>,
        models: Vec<(Listed, Arc<str>, Arc<Caps>, bool)>,
        only_prefixed: bool,
    ) {
        self.table.credentials.push(Arc::clone(credential));
        let seats = self.pool.seats(credential);
        for (listed, upstream, caps, forces_name) in models {
            let seat = seats.of(Arc::clone(&upstream));
            let offer = Offer { credential: Arc::clone(credential), upstream, caps, forces_name, seat };
            if let Some(prefix) = &credential.prefix {
                let id: Arc<str> = format!("{prefix}/{}", listed.id).into();
                self.offer(&Listed { id, ..listed.clone() }, offer.clone());
                if only_prefixed && **prefix != *listed.id {
                    continue;
                }
            }
            self.offer(&listed, offer);
        }
    }

    fn offer(&mut self, listed: &Listed, offer: Offer) {
        let table = &mut self.table;
        if !table.models.contains_key(&listed.id) {
            table.folded.entry(listed.id.to_lowercase()).or_insert_with(|| Arc::clone(&listed.id));
            table.models.insert(Arc::clone(&listed.id), Offers::new(self.pool.cursor(&listed.id)));
            table.listed.push(listed.clone());
        }
        if let Some(offers) = table.models.get_mut(&listed.id) {
            offers.members.push(offer);
        }
    }

    /// The finished table: offers by priority, the list in the order of names.
    pub fn finish(mut self) -> Table {
        for offers in self.table.models.values_mut() {
            offers.finish();
        }
        self.table.listed.sort_by(|a, b| a.id.cmp(&b.id));
        self.table
    }
}

impl Table {
    /// Finds a model by the name a client used: the base name first, then the full string, since a model may really be
    /// named like a suffix; `auto` is the newest model.
    pub fn resolve(&self, requested: &str) -> Option<Resolved<'_>> {
        let requested = requested.trim();
        let (base, wish) = suffix::split(requested);
        let base = base.trim();
        if let Some(found) = self.find(base) {
            return Some(Resolved { suffix: wish.flatten(), ..found });
        }
        if let Some(found) = self.find(requested) {
            return Some(found);
        }
        if base.eq_ignore_ascii_case("auto") {
            let newest =
                self.listed.iter().max_by_key(|listed| (listed.created, std::cmp::Reverse(&listed.id)))?;
            return self.find(&newest.id).map(|found| Resolved { suffix: wish.flatten(), ..found });
        }
        None
    }

    fn find(&self, name: &str) -> Option<Resolved<'_>> {
        let exact = self.models.get_key_value(name);
        let (model, offers) = if let Some(found) = exact {
            found
        } else {
            let bare = name.strip_prefix("models/").unwrap_or(name);
            match self.models.get_key_value(bare) {
                Some(found) => found,
                None => self.models.get_key_value(self.folded.get(&bare.to_lowercase())?)?,
            }
        };
        Some(Resolved { model: Arc::clone(model), suffix: None, offers })
    }

    /// Models in the order of their names.
    pub fn listed(&self) -> &[Listed] {
        &self.listed
    }

    /// Who offers the listed model `id`.
    pub fn offers(&self, id: &str) -> Option<&Offers> {
        self.models.get(id)
    }

    /// All credentials.
    pub fn credentials(&self) -> &[Arc<Credential>] {
        &self.credentials
    }

    /// Up to three names that look like `name`, of those that may be shown: the one that looks most like it, and others that
    /// are hardly farther from it. Before all others those that differ by a prefix alone.
    pub fn nearest(&self, name: &str, is_shown: impl Fn(&str) -> bool) -> Vec<Arc<str>> {
        // A name hundreds of characters long is no misspelling of ours; bounding it bounds the work.
        let short = |name: &str| name.chars().take(128).collect::<String>().to_lowercase();
        let bare = |name: &str| name.rsplit('/').next().unwrap_or_default().to_owned();
        let wanted = short(suffix::split(name).0);
        let distance = |id: &str| {
            let id = short(id);
            if bare(&id) == bare(&wanted) { 0 } else { strsim::osa_distance(&wanted, &id) }
        };
        let mut scored: Vec<(usize, &Arc<str>)> = self
            .listed
            .iter()
            .map(|listed| (distance(&listed.id), &listed.id))
            .filter(|(distance, id)| *distance * 2 <= wanted.len().max(id.len()) && is_shown(id))
            .collect();
        scored.sort();
        let least = scored.first().map_or(0, |(distance, _)| *distance);
        scored.retain(|(distance, _)| *distance <= least * 2);
        scored.into_iter().take(3).map(|(_, id)| Arc::clone(id)).collect()
    }
}
