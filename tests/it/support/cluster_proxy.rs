//! A proxy that hides a cluster behind one address, as the manual of Tair and of Alibaba Cloud's
//! Redis has it (<https://www.alibabacloud.com/help/en/redis/support/usage-of-lua-scripts>): a
//! script has keys, all in one slot, and names them in its commands as `KEYS[n]`.
//!
//! Commands go to one real server. One that breaks a rule becomes a script that answers with the
//! vendor's error, so that replies keep their order.

use std::str::from_utf8;

use tokio::io::{AsyncReadExt, AsyncWriteExt, copy};
use tokio::net::{TcpListener, TcpStream};

/// Starts a proxy before the server of `url`, and returns its own URL.
pub fn cluster_proxy(url: &str) -> String {
    let target = url.strip_prefix("redis://").expect("a URL of Redis").to_owned();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.set_nonblocking(true).expect("a socket");
    let listener = TcpListener::from_std(listener).expect("a socket");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            tokio::spawn(serve(client, target.clone()));
        }
    });
    format!("redis://{address}")
}

async fn serve(client: TcpStream, target: String) {
    let Ok(server) = TcpStream::connect(target).await else { return };
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    tokio::spawn(async move { copy(&mut from_server, &mut to_client).await });
    let mut read = Vec::new();
    while matches!(from_client.read_buf(&mut read).await, Ok(bytes) if bytes > 0) {
        let mut passed = Vec::new();
        while let Some((command, length)) = parse(&read) {
            match broken_rule(&command) {
                Some(error) => passed.extend(encode(&[
                    b"EVAL",
                    b"return redis.error_reply(ARGV[1])",
                    b"0",
                    error.as_bytes(),
                ])),
                None => passed.extend(&read[..length]),
            }
            read.drain(..length);
        }
        if to_server.write_all(&passed).await.is_err() {
            return;
        }
    }
}

/// The first command in these bytes, if all of it is there, and its length.
fn parse(bytes: &[u8]) -> Option<(Vec<&[u8]>, usize)> {
    let line = |at: usize| {
        let length = bytes.get(at..)?.windows(2).position(|end| end == b"\r\n")?;
        let number = from_utf8(&bytes[at + 1..at + length]).ok()?.parse::<usize>().ok()?;
        Some((number, at + length + 2))
    };
    let (parts, mut at) = line(0)?;
    let mut command = Vec::new();
    for _ in 0..parts {
        let (length, start) = line(at)?;
        command.push(bytes.get(start..start + length)?);
        at = start + length + 2;
    }
    (at <= bytes.len()).then_some((command, at))
}

fn encode(command: &[&[u8]]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", command.len()).into_bytes();
    for part in command {
        bytes.extend(format!("${}\r\n", part.len()).into_bytes());
        bytes.extend(*part);
        bytes.extend(b"\r\n");
    }
    bytes
}

/// The vendor's error for a command that a cluster does not take.
fn broken_rule(command: &[&[u8]]) -> Option<String> {
    let name = from_utf8(command.first()?).ok()?.to_uppercase();
    if name != "EVAL" && name != "EVALSHA" {
        return None;
    }
    let keys: usize = from_utf8(command.get(2)?).ok()?.parse().ok()?;
    if keys == 0 {
        return Some(
            "ERR for redis cluster, eval/evalsha number of keys can't be negative or zero".into(),
        );
    }
    let keys = command.get(3..3 + keys)?;
    if keys.iter().any(|key| tag(key) != tag(keys[0])) {
        return Some(format!("ERR '{name}' command keys must in same slot"));
    }
    let script = from_utf8(command[1]).ok()?.replace("redis.pcall(", "redis.call(");
    let literal = |call: &str| {
        let call = call.split_once('\'').map_or("", |(_, rest)| rest);
        call.split_once('\'')
            .is_some_and(|(command, rest)| command == "TIME" || rest.starts_with(", KEYS["))
    };
    (name == "EVAL" && !script.split("redis.call(").skip(1).all(literal)).then(|| {
        "ERR bad lua script for redis cluster, all the keys that the script uses should be passed \
         using the KEYS array"
            .into()
    })
}

/// What decides on a key's slot. (Two of these share a slot once in 16,384.)
fn tag(key: &[u8]) -> &[u8] {
    let inner = key.split(|byte| *byte == b'{').nth(1).unwrap_or(key);
    inner.split(|byte| *byte == b'}').next().unwrap_or(key)
}
