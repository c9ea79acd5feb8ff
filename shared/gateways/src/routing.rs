//! Routes: which gateways a message may go through, and in which order.
//!
//! `SMS_DSN` is one DSN; `failover(a || b)`, tried in this order; `roundrobin(a && b)`, which
//! spreads messages evenly and goes on to the next when one fails; or one of these for each
//! country: `+86=ccp://…; *=twilio://…`, where the longest prefix of the number counts. They nest.

use sha2::{Digest, Sha256};
use sms_domain::phone::PhoneNumber;
use sms_outbound::dsn::DsnError;

use crate::SmsDsnError;
use crate::account::Account;

#[derive(Debug)]
pub(crate) struct Routes(Vec<RouteRule>);

/// A number's beginning, `+` included, and empty for all numbers.
#[derive(Debug)]
struct RouteRule {
    prefix: String,
    route: Route,
}

#[derive(Debug)]
enum Route {
    One(Box<Account>),
    Failover(Vec<Route>),
    RoundRobin(Vec<Route>),
}

impl Routes {
    pub(crate) fn to(account: Account) -> Self {
        Self(vec![RouteRule { prefix: String::new(), route: Route::One(Box::new(account)) }])
    }

    pub(crate) fn parse(text: &str) -> Result<Self, SmsDsnError> {
        let mut rules: Vec<RouteRule> = Vec::new();
        for text in split(text, ";").into_iter().filter(|text| !text.is_empty()) {
            let rule = match prefix(text) {
                Some((prefix, route)) => RouteRule { prefix, route: Route::parse(route)? },
                None => RouteRule { prefix: String::new(), route: Route::parse(text)? },
            };
            if rules.iter().any(|other| other.prefix == rule.prefix) {
                return Err(SmsDsnError::Route("has two routes for the same numbers"));
            }
            rules.push(rule);
        }
        if rules.is_empty() {
            return Err(DsnError::from(url::ParseError::EmptyHost).into());
        }
        rules.sort_by_key(|rule| std::cmp::Reverse(rule.prefix.len()));
        Ok(Self(rules))
    }

    pub(crate) fn accounts(&self, to: &PhoneNumber, key: &str) -> Vec<&Account> {
        let mut accounts = Vec::new();
        if let Some(rule) = self.0.iter().find(|rule| to.e164().starts_with(&rule.prefix)) {
            rule.route.collect(Some(key), &mut accounts);
        }
        accounts
    }

    pub(crate) fn all(&self) -> Vec<&Account> {
        let mut accounts = Vec::new();
        self.0.iter().for_each(|rule| rule.route.collect(None, &mut accounts));
        accounts
    }
}

impl Route {
    fn parse(text: &str) -> Result<Self, SmsDsnError> {
        let text = text.trim();
        let each = |inner, separator| {
            split(inner, separator).into_iter().map(Self::parse).collect::<Result<_, _>>()
        };
        if let Some(inner) = call(text, "failover") {
            return Ok(Self::Failover(each(inner, "||")?));
        }
        if let Some(inner) = call(text, "roundrobin") {
            return Ok(Self::RoundRobin(each(inner, "&&")?));
        }
        Account::from_dsn(text).map(|account| Self::One(Box::new(account)))
    }

    /// `key` is a job's own: it chooses where a round robin begins, so that a job which is tried
    /// again comes to the gateway that may already have it, under the same key.
    fn collect<'a>(&'a self, key: Option<&str>, into: &mut Vec<&'a Account>) {
        match self {
            Self::One(account) => into.push(account),
            Self::Failover(routes) => routes.iter().for_each(|route| route.collect(key, into)),
            Self::RoundRobin(routes) => {
                let first = key.map_or(0, |key| Sha256::digest(key)[0].into()) % routes.len();
                let rotated = routes[first..].iter().chain(&routes[..first]);
                rotated.for_each(|route| route.collect(key, into));
            }
        }
    }
}

/// `+86=…` or `*=…`.
fn prefix(text: &str) -> Option<(String, &str)> {
    let (prefix, route) = text.split_once('=')?;
    let prefix = prefix.trim();
    if prefix == "*" {
        return Some((String::new(), route));
    }
    let digits = prefix.strip_prefix('+')?;
    (!digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()))
        .then(|| (prefix.to_owned(), route))
}

/// What stands between the parentheses of `name(…)`.
fn call<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.strip_prefix(name)?.trim_start().strip_prefix('(')?.strip_suffix(')')
}

/// The parts between separators that stand in no parentheses.
fn split<'a>(text: &'a str, separator: &str) -> Vec<&'a str> {
    let (mut parts, mut begin, mut depth) = (Vec::new(), 0, 0_i32);
    for (at, character) in text.char_indices() {
        match character {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ if depth == 0 && at >= begin && text[at..].starts_with(separator) => {
                parts.push(text[begin..at].trim());
                begin = at + separator.len();
            }
            _ => {}
        }
    }
    parts.push(text[begin..].trim());
    parts
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use sms_domain::phone::Region;

    use super::*;

    fn ccp(name: &str) -> String {
        format!("ccp://{name}:token@127.0.0.1:1?app_id=A&template=1&tls=false")
    }

    /// Who is asked, by the user of the DSN. Clients take a while to make: each name is looked up
    /// once.
    fn order(routes: &Routes, number: &str, key: &str) -> Vec<&'static str> {
        static NAMES: LazyLock<Vec<(String, &str)>> = LazyLock::new(|| {
            let id = |name| Account::from_dsn(&ccp(name)).expect("a DSN").id;
            ["a", "b", "c"].map(|name| (id(name), name)).into()
        });
        let to = PhoneNumber::parse(number, Region::default()).expect("a number");
        let name =
            |account: &Account| NAMES.iter().find(|(id, _)| *id == account.id).expect("known").1;
        routes.accounts(&to, key).into_iter().map(name).collect()
    }

    #[test]
    fn a_failover_keeps_its_order_and_a_round_robin_spreads() {
        let (a, b, c) = (ccp("a"), ccp("b"), ccp("c"));
        let number = "+8613800138000";
        let routes = Routes::parse(&format!("failover({a} || {b}||{c})")).expect("routes");
        assert_eq!(order(&routes, number, "any"), ["a", "b", "c"]);
        let routes =
            Routes::parse(&format!("failover(roundrobin({a} && {b}) || {c})")).expect("routes");
        let orders: Vec<_> =
            (0..100).map(|key| order(&routes, number, &key.to_string()).concat()).collect();
        let (ab, ba) = (
            orders.iter().filter(|o| *o == "abc").count(),
            orders.iter().filter(|o| *o == "bac").count(),
        );
        assert!(ab + ba == 100 && ab > 25 && ba > 25, "{ab} and {ba}");
        assert_eq!(orders[0], order(&routes, number, "0").concat(), "the same job, the same order");
    }

    #[test]
    fn countries_have_their_routes() {
        let (a, b, c) = (ccp("a"), ccp("b"), ccp("c"));
        let routes = Routes::parse(&format!("*={c}; +86={a}; +8613={b};")).expect("routes");
        for (number, expected) in
            [("+8613800138000", "b"), ("+8615912345678", "a"), ("+447400123456", "c")]
        {
            assert_eq!(order(&routes, number, "any"), [expected], "{number}");
        }
        let routes = Routes::parse(&format!("+86={a}")).expect("routes");
        assert!(order(&routes, "+447400123456", "any").is_empty());
        assert_eq!(routes.all().len(), 1);
    }

    #[test]
    fn what_is_no_route_is_an_error() {
        let a = ccp("a");
        for text in [
            format!("failover({a} || )"),
            format!("failover({a} || {a}"),
            format!("failover({a})x"),
            format!("fail({a})"),
            format!("{a};{a}"),
            format!("+86={a}; +86={a}"),
            format!("86={a}"),
            ";".to_owned(),
            "failover()".to_owned(),
        ] {
            assert!(Routes::parse(&text).is_err(), "{text}");
        }
    }
}
