//! Checks of a `REDIS_URL`: the client ignores parts that it does not know, and would then use
//! another database, or trust any certificate.

use sms_outbound::dsn::{Dsn, DsnError};

/// Checks a `REDIS_URL`.
///
/// # Errors
/// When the URL is invalid, or would be misread by the client.
pub(crate) fn check(url: &str) -> Result<(), DsnError> {
    let mut dsn = Dsn::parse(url)?;
    let wrong = |what| Err(DsnError::Server(what));
    let (user, path) = (dsn.url().username(), dsn.url().path());
    if dsn.url().host_str().is_none_or(|host| host.is_empty() || host.contains(',')) {
        return wrong("needs one host: the server itself, or any node of a cluster");
    }
    if dsn.url().fragment().is_some() {
        return wrong(
            "has a # in it: in a password it is written %23, and certificates are always checked",
        );
    }
    if !user.is_empty() && dsn.url().password().is_none() {
        return wrong(
            "has a user and no password: redis://user:password@host, or redis://:password@host \
             without a user",
        );
    }
    if !matches!(path, "" | "/") && !path.strip_prefix('/').is_some_and(is_number) {
        return wrong("needs the number of a database as its path, or none: redis://host:6379/3");
    }
    dsn.check_credentials()?;
    if dsn.option::<String>("db")?.is_some() {
        return wrong(
            "has the option db: the number of the database is its path, redis://host:6379/3",
        );
    }
    if dsn.options().any(|name| name.starts_with("ssl_")) {
        return wrong(
            "has an option about TLS: rediss:// uses it, and SSL_CERT_FILE names an authority of \
             your own",
        );
    }
    dsn.finish()
}

fn is_number(text: &str) -> bool {
    (1..=9).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_client_would_swallow_is_told() {
        for (url, problem) in [
            ("redis://h?db=3", "redis://host:6379/3"),
            ("rediss://h?ssl_cert_reqs=none", "SSL_CERT_FILE"),
            ("rediss://h#insecure", "certificates are always checked"),
            ("redis://h?protocol=resp3", "an unknown option protocol"),
            ("redis://h?a=1&a=2", "the option a twice"),
            ("redis://h/three", "needs the number of a database"),
            ("redis://h//3", "needs the number of a database"),
            ("redis://h/3/", "needs the number of a database"),
            ("redis://h/-1", "needs the number of a database"),
            ("redis://a,b", "one host"),
            ("redis:///3", "one host"),
            ("redis://hunter2@h", "a user and no password"),
            ("redis://:hunter2%ff@h", "percent-encoded"),
            ("redis://h?hunter2&x@y", "%26"),
        ] {
            let error = check(url).expect_err(url).to_string();
            assert!(error.contains(problem) && !error.contains("hunter2"), "{url}: {error}");
        }
        for url in [
            "redis://h",
            "redis://h/",
            "rediss://u:p%23@h:1/15",
            "redis://:p@[::1]:6379/0",
            "redis://:p@10.0.0.1",
        ] {
            assert!(check(url).is_ok(), "{url}");
        }
    }
}
