//! The members that name an outbound proxy.

use crate::config::diagnostic::{Code, Report};
use crate::config::file::Placed;
use crate::proxy::{NotAProxy, Proxy};
use crate::secret::Secret;

pub(super) fn validate(member: Option<&Placed<Secret>>, report: &mut Report) -> Proxy {
    let Some(member) = member else {
        return Proxy::Inherit;
    };
    match Proxy::parse(member.expose()) {
        Ok(proxy) => proxy,
        Err(why) => {
            let code = match why {
                NotAProxy::NoAddress => Code::NotAProxy,
                NotAProxy::Scheme => Code::ProxyScheme,
                NotAProxy::NoHost => Code::ProxyWithoutHost,
            };
            report.problem(&member.origin, code);
            Proxy::Inherit
        }
    }
}
