//! The experiments, one file each. What both sides do is done in turn, so that noise of the machine meets both.

pub(crate) mod account;
pub(crate) mod cancel;
pub(crate) mod chunk;
pub(crate) mod encrypted;
pub(crate) mod latency;
pub(crate) mod memory;
pub(crate) mod recorded;
pub(crate) mod request;
pub(crate) mod start;

use crate::process::{Programs, Server, Side};
use crate::upstream::Lanes;

/// What experiments share.
#[derive(Debug)]
pub(crate) struct Bench {
    pub(crate) programs: Programs,
    pub(crate) lanes: Lanes,
    pub(crate) upstream: std::net::SocketAddr,
    pub(crate) rounds: usize,
    pub(crate) is_quick: bool,
    /// Part of the names of the cases that are wanted.
    pub(crate) case: String,
}

/// Both sides, running. Where two gateways are compared, the second one stands in the bare proxy's place.
#[derive(Debug)]
pub(crate) struct Both {
    pub(crate) gateway: Server,
    pub(crate) bare: Server,
}

impl Both {
    pub(crate) fn start(programs: &Programs) -> anyhow::Result<Self> {
        Ok(Self { gateway: programs.start(Side::Gateway)?, bare: programs.start(Side::Bare)? })
    }
}

impl Bench {
    /// The order of the sides in a round: each goes first in turn.
    pub(crate) fn order(round: usize) -> [Side; 2] {
        if round.is_multiple_of(2) { [Side::Gateway, Side::Bare] } else { [Side::Bare, Side::Gateway] }
    }
}
