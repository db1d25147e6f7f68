//! Who rests for how long, on paused time.

use cliproxy_wire::fault::{Fault, Kind};
use cliproxy_wire::profile::Profile;

use super::*;
use crate::credential::Credential;
use crate::failure::{Failure, Origin, Rest, Retry};
use crate::proxy::Proxy;

fn credential(id: &str) -> Credential {
    Credential {
        id: CredentialId::new(id),
        kind: crate::credential::Kind::Gemini,
        provider: "gemini".into(),
        key: None,
        account: None,
        project: None,
        base_url: "https://upstream.test".into(),
        proxy: Proxy::Direct,
        headers: Vec::new(),
        prefix: None,
        priority: 0,
        weight: 1,
        concurrency: None,
        never_rests: false,
        request_retry: None,
        profile: Arc::new(Profile::gemini()),
        other_base_url: None,
        native: None,
        of_models: Arc::default(),
        websockets: false,
        scope: id.into(),
    }
}

fn fail(seat: &Seat, rest: Rest) {
    let lease = seat.lease().unwrap();
    lease.fail_as(rest, Scope::Model, Cooling::default(), Instant::now());
}

fn left(seat: &Seat) -> Option<Duration> {
    let now = Instant::now();
    seat.block(now).map(|block| block.until - now)
}

#[tokio::test(start_paused = true)]
async fn a_quota_refusal_rests_the_model_and_not_the_account() {
    let pool = Pool::default();
    let (seat, other) = (pool.seats(&credential("a")).of("m"), pool.seats(&credential("a")).of("other"));
    fail(&seat, Rest::Quota(Some(Duration::from_secs(34))));
    assert_eq!(seat.block(Instant::now()).unwrap().why, Why::Quota);
    assert_eq!(other.stand(Instant::now()), Stand::Free);
    tokio::time::advance(Duration::from_secs(35)).await;
    assert_eq!(seat.stand(Instant::now()), Stand::Free);
}

#[tokio::test(start_paused = true)]
async fn a_quota_that_is_renewed_beyond_the_end_of_time_rests_for_two_months() {
    let pool = Pool::default();
    let seat = pool.seats(&credential("a")).of("m");
    fail(&seat, Rest::Quota(Some(Duration::from_secs(u64::MAX))));
    assert_eq!(left(&seat), Some(Duration::from_hours(24 * 60)));
}

#[tokio::test(start_paused = true)]
async fn who_serves_as_many_requests_as_it_may_can_be_sent_to_rest() {
    let pool = Pool::default();
    let seat = pool.seats(&Credential { concurrency: Some(1), ..credential("a") }).of("m");
    let lease = seat.lease().unwrap();
    assert!(seat.lease().is_none());
    seat.rest(Rest::Unauthorized, Scope::Model, Cooling::default(), Instant::now());
    drop(lease);
    assert_eq!(left(&seat), Some(Duration::from_mins(30)));
}

#[tokio::test(start_paused = true)]
async fn refusals_without_a_hint_back_off_exponentially_and_success_forgets_them() {
    let pool = Pool::default();
    let seat = pool.seats(&credential("a")).of("m");
    let waits: Vec<_> = (0..13)
        .map(|_| {
            fail(&seat, Rest::Quota(None));
            left(&seat).unwrap().as_secs()
        })
        .collect();
    assert_eq!(waits[..4], [1, 2, 4, 8]);
    assert_eq!(waits.last(), Some(&1800));
    seat.lease().unwrap().succeed();
    assert_eq!(left(&seat), None);
    fail(&seat, Rest::Quota(None));
    assert_eq!(left(&seat), Some(Duration::from_secs(1)));
}

#[tokio::test(start_paused = true)]
async fn a_refused_credential_rests_with_all_its_models_and_others_do_not() {
    let pool = Pool::default();
    let (seat, other) = (pool.seats(&credential("a")).of("m"), pool.seats(&credential("a")).of("other"));
    let neighbor = pool.seats(&credential("b")).of("m");
    let fault = Fault { status: Some(401), ..Fault::new(Kind::Authentication, "no") };
    let failure = Failure::upstream(fault, "").with_retry(Retry::Next(Rest::Unauthorized));
    seat.lease().unwrap().fail(&failure, Cooling::default(), Instant::now());
    assert_eq!(other.block(Instant::now()).unwrap().scope, Scope::Account);
    assert_eq!(neighbor.stand(Instant::now()), Stand::Free);
}

#[tokio::test(start_paused = true)]
async fn a_broken_proxy_rests_for_everybody_behind_it_and_is_held_against_nobody() {
    let pool = Pool::default();
    let behind =
        |id: &str| Credential { proxy: Proxy::parse("http://proxy.test:3128").unwrap(), ..credential(id) };
    let seats = [
        pool.seats(&behind("a")).of("m"),
        pool.seats(&behind("b")).of("m"),
        pool.seats(&credential("c")).of("m"),
    ];
    let failure = Failure::upstream(Fault::new(Kind::BadUpstream, "no way"), "").with_origin(Origin::Proxy);
    seats[0].lease().unwrap().fail(&failure, Cooling::default(), Instant::now());
    let now = Instant::now();
    assert_eq!(seats[1].block(now).unwrap().scope, Scope::Proxy);
    assert_eq!(seats[2].stand(now), Stand::Free);
    assert!(pool.saved(now, 0).is_empty());
    // One request finds out that the proxy is back, for all of them.
    tokio::time::advance(Duration::from_secs(31)).await;
    let trial = seats[1].lease().unwrap();
    assert!(matches!(seats[0].stand(Instant::now()), Stand::OnTrial(_)));
    trial.succeed();
    assert_eq!(seats[0].stand(Instant::now()), Stand::Free);
}

#[tokio::test(start_paused = true)]
async fn an_unreachable_host_rests_for_all_its_accounts() {
    let pool = Pool::default();
    let seats = [pool.seats(&credential("a")).of("m"), pool.seats(&credential("b")).of("m")];
    let fault = Fault::new(Kind::BadUpstream, "refused").with_code("upstream_unreachable");
    seats[0].lease().unwrap().fail(&Failure::upstream(fault, ""), Cooling::default(), Instant::now());
    assert_eq!(seats[1].block(Instant::now()).unwrap().scope, Scope::Host);
    let fault = Fault { status: Some(429), ..Fault::new(Kind::RateLimit, "slow down") };
    let refusal = Failure::upstream(fault, "").with_retry(Retry::Next(Rest::Quota(None)));
    seats[1].lease().unwrap().fail(&refusal, Cooling::default(), Instant::now());
    assert_eq!(
        seats[0].stand(Instant::now()),
        Stand::Free,
        "an answer, even a refusal, shows that the host is there"
    );
}

#[tokio::test(start_paused = true)]
async fn requests_at_the_limit_wait_for_one_to_end() {
    let pool = Pool::default();
    let seat = pool.seats(&Credential { concurrency: Some(2), ..credential("a") }).of("m");
    let (one, two) = (seat.lease().unwrap(), seat.lease().unwrap());
    assert_eq!(seat.stand(Instant::now()), Stand::Busy);
    assert!(seat.lease().is_none());
    assert_eq!(pool.in_flight(&CredentialId::new("a")), 2);
    let ended = pool.ended();
    let ending = ended.notified();
    drop(one);
    ending.await;
    assert_eq!(seat.stand(Instant::now()), Stand::Free);
    drop(two);
    assert_eq!(pool.in_flight(&CredentialId::new("a")), 0);
}

#[tokio::test(start_paused = true)]
async fn rests_survive_a_restart_and_what_is_over_by_then_does_not() {
    let (pool, id) = (Pool::default(), "a");
    fail(&pool.seats(&credential(id)).of("m"), Rest::Quota(Some(Duration::from_mins(10))));
    fail(&pool.seats(&credential(id)).of("short"), Rest::Quota(Some(Duration::from_secs(10))));
    let lease = pool.seats(&credential("b")).of("m").lease().unwrap();
    lease.fail_as(Rest::Unauthorized, Scope::Account, Cooling::default(), Instant::now());
    let text = serde_json::to_string(&pool.saved(Instant::now(), 1_000)).unwrap();
    let next = Pool::default();
    next.restore(serde_json::from_str(&text).unwrap(), 1_060);
    assert_eq!(left(&next.seats(&credential(id)).of("m")), Some(Duration::from_mins(9)));
    assert_eq!(left(&next.seats(&credential(id)).of("short")), None);
    assert_eq!(next.seats(&credential("b")).of("x").block(Instant::now()).unwrap().scope, Scope::Account);
    // Taking a seat again, as every reload does, does not bring back what was forgiven meanwhile.
    next.forgive(&CredentialId::new(id));
    assert_eq!(left(&next.seats(&credential(id)).of("m")), None);
}

#[tokio::test(start_paused = true)]
async fn over_a_day_of_quota_resets_recovery_is_noticed_within_five_minutes() {
    // The upstream announces a renewal in 100 hours, but renews after a random while; requests come every 20 s.
    let pool = Pool::default();
    let seat = pool.seats(&credential("a")).of("m");
    for renewed_after in [1u64, 7, 61, 180, 333, 444].map(Duration::from_mins) {
        fail(&seat, Rest::Quota(Some(Duration::from_hours(100))));
        let exhausted_at = Instant::now();
        let mut asked = 0;
        let noticed = loop {
            tokio::time::advance(Duration::from_secs(20)).await;
            let now = Instant::now();
            if seat.stand(now) != Stand::Free {
                continue;
            }
            asked += 1;
            let lease = seat.lease().unwrap();
            if now - exhausted_at >= renewed_after {
                lease.succeed();
                break now - exhausted_at;
            }
            lease.fail_as(
                Rest::Quota(Some(Duration::from_hours(100))),
                Scope::Model,
                Cooling::default(),
                now,
            );
        };
        assert!(noticed <= renewed_after + Duration::from_mins(5) + Duration::from_secs(20), "{noticed:?}");
        assert!(
            asked <= 2 + renewed_after.as_secs() / 300,
            "an exhausted account is asked every five minutes at most"
        );
    }
}
