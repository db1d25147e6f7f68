//! What single client keys may do.

use std::sync::Arc;

use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::value::text;
use crate::access::allowance::{Allowance, Limit, Per};
use crate::config::diagnostic::{Code, Report};
use crate::config::file;
use crate::pattern::Pattern;
use crate::secret::Secret;
use crate::usage::Price;

pub(super) fn allowances(config: &file::Config, keys: &[Secret], report: &mut Report) -> Vec<Arc<Allowance>> {
    let mut list: Vec<Arc<Allowance>> = Vec::new();
    for entry in config.api_key_limits.iter().flat_map(|list| &list.value) {
        let Some(key) = &entry.api_key else {
            report.problem(&entry.origin, Code::LimitsWithoutKey);
            continue;
        };
        let secret = Secret::new(key.expose().trim());
        if !keys.contains(&secret) {
            report.warning(&key.origin, Code::LimitsOfNobody);
        }
        let client = secret.name();
        if list.iter().any(|known| known.client == client) {
            report.problem(&key.origin, Code::LimitsTwice);
            continue;
        }
        list.push(Arc::new(Allowance {
            client,
            label: text(entry.name.as_ref()).map(Into::into),
            expires: expires(entry.expires.as_ref(), report),
            models: patterns(entry.models.as_ref()),
            credentials: patterns(entry.credentials.as_ref()),
            limits: limits(entry, report),
        }));
    }
    list
}

fn patterns(list: Option<&file::Placed<file::List<String>>>) -> Vec<Pattern> {
    let written = list.into_iter().flat_map(|list| &list.value).map(|item| item.value.trim());
    written.filter(|text| !text.is_empty()).map(Pattern::any_case).collect()
}

/// A time, or a day to its end in the machine's time zone.
fn expires(member: Option<&file::Placed<String>>, report: &mut Report) -> Option<u64> {
    let (member, written) = (member?, text(member)?);
    let of_day = |day: Date| Some(day.tomorrow().ok()?.to_zoned(TimeZone::system()).ok()?.timestamp());
    let stamp = match written.parse::<jiff::Timestamp>() {
        Ok(stamp) => Some(stamp),
        Err(_no_time) => written.parse::<Date>().ok().and_then(of_day),
    };
    let seconds = stamp.and_then(|stamp| u64::try_from(stamp.as_second()).ok());
    if seconds.is_none() {
        report.problem(&member.origin, Code::NotATime);
    }
    seconds
}

fn limits(entry: &file::KeyLimit, report: &mut Report) -> Vec<Limit> {
    let mut list = Vec::new();
    for limit in entry.limits.iter().flat_map(|list| &list.value) {
        let Some(per) = text(limit.per.as_ref()).and_then(Per::parse) else {
            report.problem(&limit.origin, Code::LimitWindow);
            continue;
        };
        let mut count = |member: Option<&file::Placed<i64>>| {
            let member = member?;
            let count = u64::try_from(member.value).ok();
            if count.is_none() {
                report.problem(&member.origin, Code::LimitRange);
            }
            count
        };
        let (requests, tokens) = (count(limit.requests.as_ref()), count(limit.tokens.as_ref()));
        let cost = limit.cost.as_ref().and_then(|member| {
            let cost = Price::amount(member.value);
            if cost.is_none() {
                report.problem(&member.origin, Code::LimitRange);
            }
            cost
        });
        if requests.is_none() && tokens.is_none() && cost.is_none() {
            report.warning(&limit.origin, Code::LimitEmpty);
        }
        list.push(Limit { per, requests, tokens, cost });
    }
    list
}
