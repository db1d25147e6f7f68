//! Making a token from a service account's key: Google exchanges a signed assertion (RFC 7523) for one that lives an
//! hour. Nothing is spent by it, so it is done when a request needs a token and the token is kept in memory.

use serde_json::{Value, json};

use crate::credential::Record;
use crate::oauth::assertion::{GRANT, SigningKey};
use crate::oauth::chain::Then as _;
use crate::oauth::{Flow, Identity, Input, Refusal, RefusalKind, Request, Step, Tokens};
use crate::provider::Renewal;
use crate::reason::Code;

const WHO: &str = "Google";
const REMEDY: &str = "import another key of the service account: cli-proxy-api --vertex-import FILE";
/// How long an assertion holds, in seconds. Source: the longest that Google accepts.
const LIFE: u64 = 3600;

/// The conversation; `None` for a file without a key.
pub(super) fn renew(record: &Record, identity: &Identity, now: u64) -> Option<Renewal> {
    let account = record.get(&["service_account"])?;
    let key = text(account, "private_key")?;
    let request = assertion(account, key, identity, now);
    Some(Box::new(Minting(Some(request)).finish(move |tokens| Ok(tokens.renewed(now)))))
}

fn assertion(account: &Value, key: &str, identity: &Identity, now: u64) -> Result<Request, Refusal> {
    let unusable = |_not_a_key| Refusal {
        kind: RefusalKind::Dead,
        message: Code::NoPrivateKey.into(),
        remedy: REMEDY.into(),
    };
    let key = SigningKey::parse(key).map_err(unusable)?;
    let token_url = text(account, "token_uri").unwrap_or(&identity.token_url);
    let claims = json!({
        "iss": text(account, "client_email").unwrap_or_default(),
        "scope": identity.scope,
        "aud": token_url,
        "iat": now,
        "exp": now.saturating_add(LIFE),
    });
    let key_id = text(account, "private_key_id").unwrap_or_default();
    let assertion = key.sign(key_id, &claims).map_err(unusable)?;
    Request::form(token_url, &[("grant_type", GRANT), ("assertion", assertion.expose())])
}

fn text<'a>(account: &'a Value, name: &str) -> Option<&'a str> {
    account.get(name).and_then(Value::as_str).filter(|text| !text.is_empty())
}

/// One assertion; yields tokens.
#[derive(Debug)]
struct Minting(Option<Result<Request, Refusal>>);

impl Flow for Minting {
    type Output = Tokens;

    fn step(&mut self, input: Input) -> Step<Tokens> {
        Step::or_refused(match self.0.take() {
            Some(request) => request.map(Step::Send),
            None => input
                .answer(WHO)
                .and_then(|answer| Tokens::read(&answer, WHO, REMEDY))
                .map_err(of_clock)
                .map(Step::Done),
        })
    }
}

/// A wrong clock makes assertions that do not hold yet or no more; the key is as good as before.
fn of_clock(refusal: Refusal) -> Refusal {
    if !refusal.message.contains("short-lived token") {
        return refusal;
    }
    Refusal { kind: RefusalKind::Passing(None), remedy: "set this machine's clock".into(), ..refusal }
}
