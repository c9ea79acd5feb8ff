//! The servers of a `REDIS_URL`. The client ignores parts that it does not know, and would then use
//! another database, or trust any certificate.

use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::cluster::ClusterClientBuilder;
use redis::io::tcp::TcpSettings;
use redis::{
    AsyncConnectionConfig, Client, ClientTlsConfig, ConnectionAddr, ConnectionInfo,
    IntoConnectionInfo, RedisError, TlsCertificates,
};
use sms_outbound::dsn::{Dsn, DsnError, each_host};
use sms_outbound::tls_files::TlsFiles;
use url::Url;

use super::connection::TCP_USER_TIMEOUT;

/// Name of the connections in `CLIENT LIST`.
pub(super) const CLIENT_NAME: &str = "sms-verify";

/// Port of Sentinels whose port is not given.
const SENTINEL_PORT: u16 = 26379;

/// Longest wait for an answer to a question about the servers themselves: it leaves a call some of
/// its time.
pub(super) const QUESTION: Duration = Duration::from_millis(250);

/// What a `REDIS_URL` names.
pub(super) struct Servers {
    /// Clients of the named hosts: of one server, of nodes of a cluster, or of Sentinels.
    pub(super) hosts: Vec<Client>,
    /// The name of the primary that the hosts, Sentinels, watch, and the form of its client.
    pub(super) watched: Option<Watched>,
    certificates: Option<TlsCertificates>,
}

/// A primary that Sentinels watch.
#[derive(Clone)]
pub(super) struct Watched {
    pub(super) name: String,
    /// A client with any host: credentials, database and certificates are those of the primary.
    form: Client,
}

impl Servers {
    /// Reads a `REDIS_URL` and the files that it names.
    ///
    /// # Errors
    /// When the URL is invalid, or would be misread by the client.
    pub(super) fn parse(url: &str) -> Result<Self, DsnError> {
        let urls: Vec<String> = each_host(url).iter().map(|url| url.trim().to_owned()).collect();
        let mut checked = Vec::new();
        for url in &urls {
            checked.push(Checked::parse(url)?);
        }
        let first = checked.remove(0);
        let certificates = first.certificates.clone();
        let open = |checked: &Checked| client(&checked.url, certificates.as_ref());
        let mut hosts = vec![open(&first)?];
        for other in &checked {
            hosts.push(open(other)?);
        }
        if hosts.len() > 1
            && first.watched.is_none()
            && first.database.as_deref().is_some_and(|n| n != "0")
        {
            return Err(DsnError::Server(
                "has several hosts, the nodes of a cluster, and the number of a database, which a \
                 cluster has not",
            ));
        }
        let watched = match first.watched {
            Some((name, form)) => {
                Some(Watched { name, form: client(&form, certificates.as_ref())? })
            }
            None => None,
        };
        Ok(Self { hosts, watched, certificates })
    }

    /// A client of the cluster to which the hosts belong.
    pub(super) fn cluster(&self) -> ClusterClientBuilder {
        let nodes = self.hosts.iter().map(|host| host.get_connection_info().clone());
        let builder = redis::cluster::ClusterClient::builder(nodes).tcp_settings(tcp_settings());
        match &self.certificates {
            Some(certificates) => builder.certs(certificates.clone()),
            None => builder,
        }
    }
}

impl Watched {
    /// A client of the primary at this address.
    pub(super) fn client(&self, host: &str, port: u16) -> Result<Client, RedisError> {
        at(&self.form, host, port)
    }
}

/// A client like another one, of another address.
pub(super) fn at(client: &Client, host: &str, port: u16) -> Result<Client, RedisError> {
    let info = client.get_connection_info();
    let address = match info.addr().clone() {
        ConnectionAddr::TcpTls { insecure, tls_params, .. } => {
            ConnectionAddr::TcpTls { host: host.to_owned(), port, insecure, tls_params }
        }
        _ => ConnectionAddr::Tcp(host.to_owned(), port),
    };
    Client::open(info.clone().set_addr(address))
}

/// Opens a connection for a question about the servers themselves.
pub(super) async fn connect(client: &Client) -> Result<MultiplexedConnection, RedisError> {
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(QUESTION))
        .set_response_timeout(Some(QUESTION));
    client.get_multiplexed_async_connection_with_config(&config).await
}

fn tcp_settings() -> TcpSettings {
    TcpSettings::default().set_user_timeout(TCP_USER_TIMEOUT).set_nodelay(true)
}

fn client(url: &Url, certificates: Option<&TlsCertificates>) -> Result<Client, DsnError> {
    let open = || {
        let info: ConnectionInfo = url.clone().into_connection_info()?;
        let named =
            info.redis_settings().clone().set_lib_name(CLIENT_NAME, env!("CARGO_PKG_VERSION"));
        let info = info.set_tcp_settings(tcp_settings()).set_redis_settings(named);
        match certificates {
            Some(certificates) => Client::build_with_tls(info, certificates.clone()),
            None => Client::open(info),
        }
    };
    open().map_err(|_: RedisError| {
        DsnError::Server(if certificates.is_some() {
            "names a file that cannot be used: ca, cert or key"
        } else {
            "is not a URL that the client understands"
        })
    })
}

/// The parts of a URL with one host.
struct Checked {
    /// For the client of the host.
    url: Url,
    /// The number of the database, if it has one.
    database: Option<String>,
    /// The name of the primary that the host, a Sentinel, watches, and a URL for its client.
    watched: Option<(String, Url)>,
    certificates: Option<TlsCertificates>,
}

impl Checked {
    fn parse(url: &str) -> Result<Self, DsnError> {
        let mut dsn = Dsn::parse(url)?;
        check_server(&dsn)?;
        let sentinel = dsn.scheme().ends_with("+sentinel");
        let secure = dsn.scheme().starts_with("rediss");
        let (name, database) = path(&dsn, sentinel)?;
        dsn.check_credentials()?;
        let mut url = dsn.url().clone();
        // (It changes no scheme into one that is not as generic.)
        let _ = url.set_scheme(if secure { "rediss" } else { "redis" });
        url.set_path(database.as_deref().unwrap_or_default());
        url.set_query(None);
        let certificates = TlsFiles::take(&mut dsn, secure)?.map(certificates);
        let mut watched = None;
        if let Some(name) = name {
            let sentinel = of_sentinel(&mut dsn, &url)?;
            watched = Some((name, std::mem::replace(&mut url, sentinel)));
        }
        check_options(dsn)?;
        Ok(Self { url, database, watched, certificates })
    }
}

/// Checks host, user and password.
fn check_server(dsn: &Dsn) -> Result<(), DsnError> {
    let wrong = |what| Err(DsnError::Server(what));
    if dsn.url().host_str().is_none_or(str::is_empty) {
        return wrong(
            "needs a host: the server itself, nodes of a cluster (a,b,c), or Sentinels \
             (redis+sentinel://a,b,c/NAME)",
        );
    }
    if dsn.url().fragment().is_some() {
        return wrong(
            "has a # in it: in a password it is written %23, and certificates are always checked",
        );
    }
    if !dsn.url().username().is_empty() && dsn.url().password().is_none() {
        return wrong(
            "has a user and no password: redis://user:password@host, or redis://:password@host \
             without a user",
        );
    }
    Ok(())
}

/// Checks what is left when all known options are taken out.
fn check_options(mut dsn: Dsn) -> Result<(), DsnError> {
    if dsn.option::<String>("db")?.is_some() {
        return Err(DsnError::Server(
            "has the option db: the number of the database is its path, redis://host:6379/3",
        ));
    }
    if dsn.options().any(|name| name.starts_with("ssl_")) {
        return Err(DsnError::Server(
            "has an option about TLS: rediss:// uses it, and ca, cert and key name files",
        ));
    }
    dsn.finish()
}

/// The URL of a Sentinel, which has a user and a password of its own, or none.
fn of_sentinel(dsn: &mut Dsn, primary: &Url) -> Result<Url, DsnError> {
    let (user, password) =
        (dsn.option::<String>("sentinel_user")?, dsn.option::<String>("sentinel_password")?);
    if user.is_some() && password.is_none() {
        return Err(DsnError::Missing("sentinel_password, that of sentinel_user"));
    }
    let mut url = primary.clone();
    url.set_path("");
    let port = url.port().unwrap_or(SENTINEL_PORT);
    // (These fail for a URL without a host only.)
    let _ = url.set_port(Some(port));
    let encoded = |part: Option<String>| part.map(|part| part.replace('%', "%25"));
    let (user, password) = (encoded(user), encoded(password));
    let _ = url.set_username(user.as_deref().unwrap_or_default());
    let _ = url.set_password(password.as_deref());
    Ok(url)
}

/// The name of the primary, for Sentinels only, and the number of the database.
fn path(dsn: &Dsn, sentinel: bool) -> Result<(Option<String>, Option<String>), DsnError> {
    let path = dsn.url().path();
    let mut parts: Vec<&str> = path.strip_prefix('/').unwrap_or(path).split('/').collect();
    if parts == [""] {
        parts.clear();
    }
    let name = if sentinel {
        if parts.first().is_none_or(|name| name.is_empty()) {
            return Err(DsnError::Server(
                "needs the name of the primary as its path: redis+sentinel://a,b,c/mymaster",
            ));
        }
        Some(parts.remove(0).to_owned())
    } else {
        None
    };
    match parts[..] {
        [] => Ok((name, None)),
        [number] if is_number(number) => Ok((name, Some(number.to_owned()))),
        _ if sentinel => Err(DsnError::Server(
            "needs the primary's name as its path, and behind it the number of a database or \
             none: redis+sentinel://a,b,c/mymaster/3",
        )),
        _ => Err(DsnError::Server(
            "needs the number of a database as its path, or none: redis://host:6379/3",
        )),
    }
}

fn is_number(text: &str) -> bool {
    (1..=9).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit())
}

fn certificates(files: TlsFiles) -> TlsCertificates {
    TlsCertificates {
        client_tls: files
            .client
            .map(|files| ClientTlsConfig { client_cert: files.cert, client_key: files.key }),
        root_cert: files.ca,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentinels_get_their_own_password_as_it_is() {
        let url = "redis+sentinel://u:p@a/n?sentinel_user=s%25&sentinel_password=a%2541%23%40";
        let Ok(servers) = Servers::parse(url) else { panic!("{url}") };
        let settings = servers.hosts[0].get_connection_info().redis_settings().clone();
        assert_eq!((settings.username(), settings.password()), (Some("s%"), Some("a%41#@")));
    }

    #[test]
    fn what_the_client_would_swallow_is_told() {
        for (url, problem) in [
            ("redis://h?db=3", "redis://host:6379/3"),
            ("rediss://h?ssl_cert_reqs=none", "ca, cert and key"),
            ("redis://h?ca=/dev/null", "holds no certificate"),
            ("rediss://h?ca=/nowhere", "has ca=FILE, but the file cannot be read"),
            ("rediss://h#insecure", "certificates are always checked"),
            ("redis://h?protocol=resp3", "an unknown option protocol"),
            ("redis://h?a=1&a=2", "the option a twice"),
            ("redis://h/three", "needs the number of a database"),
            ("redis://h//3", "needs the number of a database"),
            ("redis://h/3/", "needs the number of a database"),
            ("redis://h/-1", "needs the number of a database"),
            ("redis://a,,b", "needs a host"),
            ("redis://a,b/1", "which a cluster has not"),
            ("redis:///3", "needs a host"),
            ("redis+sentinel://a,b", "needs the name of the primary"),
            ("redis+sentinel://a,b/", "needs the name of the primary"),
            ("redis+sentinel://a/name/x", "mymaster/3"),
            ("redis+sentinel://a/name/3/4", "mymaster/3"),
            ("redis+sentinel://a/n?sentinel_user=u", "lacks sentinel_password"),
            ("redis://a?sentinel_password=p", "an unknown option sentinel_password"),
            ("redis://hunter2@h", "a user and no password"),
            ("redis://:hunter2%ff@h", "percent-encoded"),
            ("redis://h?hunter2&x@y", "%26"),
        ] {
            let error = Servers::parse(url).err().expect(url).to_string();
            assert!(error.contains(problem) && !error.contains("hunter2"), "{url}: {error}");
        }
        for url in [
            "redis://h",
            "redis://h/",
            "rediss://u:p%23@h:1/15",
            "redis://:p@[::1]:6379/0",
            "redis://:p@10.0.0.1",
            "redis://:p@a,b:6380,[::1]:1",
            "redis+sentinel://u:p@a,b:26380/mymaster",
            "rediss+sentinel://a/mymaster/3?sentinel_user=s&sentinel_password=%23",
        ] {
            let servers = Servers::parse(url);
            assert!(servers.is_ok(), "{url}: {:?}", servers.err());
        }
    }
}
