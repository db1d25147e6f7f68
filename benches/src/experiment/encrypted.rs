//! What TLS to the upstream costs: most upstreams speak nothing else, and HTTP/2 over it.

use std::sync::Arc;

use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

use super::{Bench, Both, chunk, request};
use crate::process::{Programs, Side};
use crate::report::{Row, Target, progress};
use crate::upstream;
use cliproxy_bench::sample::{self, Dialect, Lane};

/// A small request and a piece of a stream, with an upstream that speaks TLS beside one that does not.
pub(crate) async fn all(bench: &Bench) -> anyhow::Result<Vec<Row>> {
    progress("what TLS costs");
    let identity = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
    let mut rows = Vec::new();
    for (protocol, alpn) in [("HTTP/1.1", "http/1.1"), ("HTTP/2", "h2")] {
        let (address, _server) =
            upstream::start(bench.lanes.clone(), Some(acceptor(&identity, alpn)?)).await?;
        let config = sample::config(&format!("https://localhost:{}", address.port()));
        let programs = Programs::new(bench.programs.gateway().to_owned(), address, &config)?
            .trusting(&identity.cert.pem())?;
        let both =
            Both { gateway: programs.start(Side::Gateway)?, bare: bench.programs.start(Side::Gateway)? };

        let question =
            Dialect::Chat.question(&Dialect::Chat.model(Lane::Passthrough), "Tell me about tea.", false);
        let what = "small request, chat passthrough".to_owned();
        let small = request::Case::new(what, question.clone(), question, Target::None);
        let pieces = [Dialect::Chat, Dialect::Claude]
            .map(|format| chunk::Case::new(format, format, Lane::Passthrough, Target::None));

        let count = if bench.is_quick { 100 } else { 200 };
        let mut measured = request::run(bench, &both, vec![small], count).await?;
        for row in chunk::run(bench, &both, pieces.into()).await? {
            measured.push(Row { what: format!("streamed piece, {}", row.what), ..row });
        }
        rows.extend(measured.into_iter().map(|row| Row { what: format!("{protocol}: {}", row.what), ..row }));
    }
    Ok(rows)
}

/// Accepts TLS and offers one protocol.
fn acceptor(identity: &rcgen::CertifiedKey<rcgen::KeyPair>, alpn: &str) -> anyhow::Result<TlsAcceptor> {
    let key = PrivateKeyDer::Pkcs8(identity.signing_key.serialize_der().into());
    let mut config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![identity.cert.der().clone()], key)?;
    config.alpn_protocols = vec![alpn.as_bytes().to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}
