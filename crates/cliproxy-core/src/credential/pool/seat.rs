//! Seats: the places of a credential for its models, and whether they can be taken.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError};

use tokio::sync::Notify;
use tokio::time::Instant;

use super::block::{Block, Scope};
use super::lease::Lease;
use super::rest::{Cell, Clock, Health};
use super::{Account, Pool};
use crate::credential::{Credential, CredentialId};

impl Pool {
    /// The seats of a credential. They are taken once per configuration and kept in the routing table.
    pub fn seats<'p>(&'p self, credential: &'p Credential) -> Seats<'p> {
        let account = {
            let mut accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(accounts.entry(credential.id.clone()).or_default())
        };
        let place = Place {
            clock: self.clock,
            account,
            host: self.cell(Scope::Host, authority(&credential.base_url)),
            proxy: self.cell(Scope::Proxy, &credential.proxy.key()),
            limit: credential.concurrency,
            ended: Arc::clone(&self.ended),
            thaws: Arc::clone(&self.thaws),
        };
        Seats { pool: self, credential: &credential.id, place: Arc::new(place) }
    }
}

/// Host and port of an address.
fn authority(base_url: &str) -> &str {
    let rest = base_url.split_once("://").map_or(base_url, |(_, rest)| rest);
    rest.split('/').next().unwrap_or_default()
}

/// Gives out the seats of one credential.
#[derive(Debug)]
pub struct Seats<'p> {
    pool: &'p Pool,
    credential: &'p CredentialId,
    place: Arc<Place>,
}

impl Seats<'_> {
    /// The seat for one of the credential's upstream models.
    pub fn of(&self, model: impl Into<Arc<str>>) -> Seat {
        let model = model.into();
        let cell = {
            let mut models = self.place.account.models.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(models.entry(Arc::clone(&model)).or_default())
        };
        let seat = Seat { place: Arc::clone(&self.place), model: cell };
        self.pool.apply_restored(&seat, self.credential, &model);
        seat
    }
}

/// The place of a credential for one upstream model. Small, because there is one for every model of every credential.
#[derive(Clone, Debug)]
pub struct Seat {
    pub(super) place: Arc<Place>,
    pub(super) model: Arc<Cell>,
}

/// What the seats of a credential have in common.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) clock: Clock,
    pub(super) account: Arc<Account>,
    pub(super) host: Arc<Cell>,
    pub(super) proxy: Arc<Cell>,
    pub(super) limit: Option<u32>,
    pub(super) ended: Arc<Notify>,
    thaws: Arc<AtomicU64>,
}

impl Place {
    /// A rest was ended, or shortened, before its time.
    pub(super) fn thaw(&self, is_thawed: bool) {
        if is_thawed {
            self.thaws.fetch_add(1, Ordering::Release);
        }
    }
}

/// Whether a seat can be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stand {
    /// It can.
    Free,
    /// Something rests.
    Resting(Block),
    /// Somebody is trying whether the rest is over.
    OnTrial(Block),
    /// As many requests are running as the credential may have.
    Busy,
}

impl Seat {
    pub(super) fn cells(&self) -> [(Scope, &Cell); 4] {
        [
            (Scope::Model, &self.model),
            (Scope::Account, &self.place.account.cell),
            (Scope::Host, &self.place.host),
            (Scope::Proxy, &self.place.proxy),
        ]
    }

    /// Whether it can be taken. Of several rests a hard one is told first.
    pub fn stand(&self, now: Instant) -> Stand {
        let mut soft = None;
        for (scope, cell) in self.cells() {
            let stand = match cell.health(scope, self.place.clock, now) {
                Health::Well | Health::Due => continue,
                Health::OnTrial(block) => Stand::OnTrial(block),
                Health::Resting(block) if block.why.is_soft() => Stand::Resting(block),
                Health::Resting(block) => return Stand::Resting(block),
            };
            soft = soft.or(Some(stand));
        }
        let place = &self.place;
        if place.limit.is_some_and(|limit| place.account.in_flight.load(Ordering::Relaxed) >= limit) {
            return Stand::Busy;
        }
        soft.unwrap_or(Stand::Free)
    }

    /// The rest that keeps it from being used, if any.
    pub fn block(&self, now: Instant) -> Option<Block> {
        match self.stand(now) {
            Stand::Resting(block) | Stand::OnTrial(block) => Some(block),
            Stand::Free | Stand::Busy => None,
        }
    }

    /// Takes it for one attempt; `None` when it has reached its limit meanwhile.
    pub fn lease(&self) -> Option<Lease> {
        let (count, limit) = (&self.place.account.in_flight, self.place.limit.unwrap_or(u32::MAX));
        count
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |running| {
                (running < limit).then_some(running + 1)
            })
            .ok()?;
        // Somebody else may have claimed a trial a moment ago; then two try, which does no harm.
        let claims = self.cells().map(|(_, cell)| cell.try_claim());
        Some(Lease::new(self.clone(), claims))
    }
}
