//! The gateway is killed at every step of renewing a token whose refresh token works once, and a login at every step
//! of redeeming its code, again and again.
//!
//! A round expires the access token, lets the gateway renew it, and ends the process somewhere on the way: at a point
//! that the identity provider reaches, at the n-th change of the auth directory, or at any time. What is on disk then
//! decides what the next process owes: a token that was received is served and in its file, without another redemption
//! and without presenting a spent token; a token that never arrived leaves the file as it was.
//!
//! `CRASH_ROUNDS` says how many rounds each test runs, `CRASH_SEED` repeats a run.

mod kill;
mod login;
mod scene;

use std::time::Duration;

use cliproxy_testkit::Gateway;
use cliproxy_testkit::issuer::Point;

use kill::{Moment, Random};
use scene::{Ending, Scene};

/// Rounds of an ordinary test run.
const FEW: u32 = 24;
/// The longest that a round lets a gateway live.
const LATEST: Duration = Duration::from_millis(250);
/// Steps at the auth directory that one renewal makes, and some more.
const STEPS: u32 = 24;

fn rounds() -> u32 {
    kill::number("CRASH_ROUNDS").and_then(|rounds| u32::try_from(rounds).ok()).unwrap_or(FEW)
}

/// Every kind of moment in turn; within a kind at random.
fn moment(round: u32, random: &mut Random) -> Moment {
    match round % 3 {
        0 => {
            let point = Point::ALL[random.below(5)];
            Moment::At(point, random.duration(Duration::from_millis(4)))
        }
        1 => Moment::Step(1 + round / 3 % STEPS),
        _ => Moment::After(random.duration(Duration::from_millis(60))),
    }
}

/// What became of the rounds.
#[derive(Debug, Default)]
struct Tally {
    served: u32,
    never_arrived: u32,
    killed_before_redeeming: u32,
}

impl Tally {
    fn count(&mut self, ending: Ending) {
        match ending {
            Ending::Served { was_redeemed: true } => self.served += 1,
            Ending::Served { was_redeemed: false } => self.killed_before_redeeming += 1,
            Ending::NeverArrived => self.never_arrived += 1,
        }
    }

    #[expect(clippy::print_stderr, reason = "what a long run is for")]
    fn tell(&self, name: &str, seed: u64) {
        eprintln!("{name}: {self:?}, CRASH_SEED={seed}");
        assert!(self.served > 0, "no round got as far as a new token: {self:?}");
    }
}

/// The upstream refuses the token of a running gateway, which is killed while it renews.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_that_was_received_survives_a_kill_while_a_request_waits() {
    let mut random = Random::new();
    let seed = random.seed();
    let scene = Scene::new().await;
    let mut tally = Tally::default();
    let mut running = scene.start();
    for round in 0..rounds() {
        let before = scene.expire();
        let victim = running;
        let fuse = scene.arm(&[&victim], moment(round, &mut random), LATEST);
        scene.ask_until_dead(&victim, fuse).await;
        drop(victim);
        let (ending, heir) = scene.inherit(&before).await;
        tally.count(ending);
        running = heir;
    }
    tally.tell("running gateway", seed);
}

/// The token has ended when the gateway starts, which is killed while it renews by itself.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_that_was_received_survives_a_kill_while_starting() {
    let mut random = Random::new();
    let seed = random.seed();
    let scene = Scene::new().await;
    let mut tally = Tally::default();
    for round in 0..rounds() {
        let before = scene.expire();
        scene.age_file();
        let victim = scene.start();
        scene.arm(&[&victim], moment(round, &mut random), LATEST).await;
        drop(victim);
        tally.count(scene.inherit(&before).await.0);
    }
    tally.tell("starting gateway", seed);
}

/// Two gateways on one directory renew at the same time, and one of them is killed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_processes_one_renews_and_inherits_from_the_dead() {
    let mut random = Random::new();
    let seed = random.seed();
    let scene = Scene::new().await;
    let mut tally = Tally::default();
    let (mut first, mut second): (Gateway, Gateway) = (scene.start(), scene.start());
    for round in 0..rounds() {
        let before = scene.expire();
        let fuse = scene.arm(&[&first], moment(round, &mut random), LATEST);
        let ((), survivor) = tokio::join!(scene.ask_until_dead(&first, fuse), scene.ask(&second));
        drop(first);
        let ending = scene.judge(&before, survivor, &second);
        tally.count(ending);
        if ending == Ending::NeverArrived {
            scene.log_in_again();
            drop(second);
            second = scene.start();
        }
        first = scene.start();
        scene.serves(&first).await;
        scene.serves(&second).await;
    }
    tally.tell("two gateways", seed);
}

/// Two gateways on one directory, nobody is killed: one redemption for each end of a token.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_processes_redeem_once() {
    let scene = Scene::new().await;
    let (first, second) = (scene.start(), scene.start());
    for _ in 0..rounds().div_ceil(4) {
        let before = scene.expire();
        let answers =
            tokio::join!(scene.ask(&first), scene.ask(&second), scene.ask(&first), scene.ask(&second));
        for answer in [answers.0, answers.1, answers.2, answers.3] {
            scene.judge(&before, answer, &second);
        }
        assert_eq!(scene.account().redemptions, before.redemptions + 1);
    }
}
