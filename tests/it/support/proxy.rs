//! A TCP proxy between the program and a service: it can delay, hold back, cut, half-close and
//! forget connections.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};

/// The fault that a proxy causes, if any.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Pass,
    /// The service's answers arrive this much later.
    Delay(Duration),
    /// Nothing arrives for now; nothing is lost either.
    Hold,
    /// Whoever connects is sent away.
    Refuse,
}

/// State of one connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Alive,
    /// The service's side is closed, the client's still open.
    HalfClosed,
    /// Nothing ever arrives again, and nobody is told.
    Forgotten,
    Cut,
}

/// The proxy.
#[derive(Clone)]
pub struct Proxy {
    /// `HOST:PORT` to connect to.
    pub address: String,
    shared: Arc<Shared>,
}

struct Shared {
    target: String,
    mode: watch::Sender<Mode>,
    connections: Mutex<Vec<watch::Sender<Fate>>>,
    /// Bytes from clients that were held back since the last change of mode.
    held: watch::Sender<usize>,
    forget_next: AtomicBool,
}

impl Proxy {
    /// Passes everything to `HOST:PORT`, until told otherwise.
    pub async fn to(target: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        let (mode, connections, held) =
            (watch::Sender::new(Mode::Pass), Mutex::default(), watch::Sender::new(0));
        let shared = Arc::new(Shared {
            target: target.to_owned(),
            mode,
            connections,
            held,
            forget_next: AtomicBool::new(false),
        });
        let accepting = Arc::clone(&shared);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                if *accepting.mode.borrow() != Mode::Refuse {
                    tokio::spawn(Arc::clone(&accepting).serve(client));
                }
            }
        });
        Self { address, shared }
    }

    /// A new proxy, and the URL that leads through it. None is between the program and several
    /// hosts.
    pub async fn before(url: &str) -> (Self, String) {
        let start = url.find('@').or(url.find("//").map(|at| at + 1)).expect("a URL") + 1;
        let end = url[start..].find(['/', '?']).map_or(url.len(), |length| start + length);
        let proxy = Self::to(&url[start..end]).await;
        if url[start..end].contains(',') {
            return (proxy, url.to_owned());
        }
        let through = format!("{}{}{}", &url[..start], proxy.address, &url[end..]);
        (proxy, through)
    }

    /// Everything goes on as if nothing had been.
    pub fn pass(&self) {
        self.set(Mode::Pass);
    }

    /// Answers take this much longer.
    pub fn delay(&self, delay: Duration) {
        self.set(Mode::Delay(delay));
    }

    /// A black hole, until it passes again.
    pub fn hold(&self) {
        self.set(Mode::Hold);
    }

    /// Cuts all connections, and takes no new ones.
    pub fn refuse(&self) {
        self.set(Mode::Refuse);
        self.cut();
    }

    /// Cuts all connections, with what is held back in them.
    pub fn cut(&self) {
        self.doom(Fate::Cut);
    }

    /// Closes the service's side of all connections.
    pub fn half_close(&self) {
        self.doom(Fate::HalfClosed);
    }

    /// Lets all connections fall silent for good. New ones work.
    pub fn forget(&self) {
        self.doom(Fate::Forgotten);
    }

    /// Lets the next connection be silent from its beginning, and only that one.
    pub fn forget_next(&self) {
        self.shared.forget_next.store(true, Ordering::SeqCst);
    }

    /// Waits until something that a client has sent is held back.
    pub async fn holds_something(&self) {
        self.shared.held.subscribe().wait_for(|held| *held > 0).await.expect("the proxy lives");
    }

    fn set(&self, mode: Mode) {
        self.shared.held.send_replace(0);
        self.shared.mode.send_replace(mode);
    }

    fn doom(&self, fate: Fate) {
        for connection in self.shared.connections.lock().expect("no panic").iter() {
            connection.send_replace(fate);
        }
    }
}

impl Shared {
    async fn serve(self: Arc<Self>, client: TcpStream) {
        let Ok(server) = TcpStream::connect(&self.target).await else { return };
        let forgotten = self.forget_next.swap(false, Ordering::SeqCst);
        let (fate, _) = watch::channel(if forgotten { Fate::Forgotten } else { Fate::Alive });
        {
            let mut connections = self.connections.lock().expect("no panic");
            connections.retain(|connection| connection.receiver_count() > 0);
            connections.push(fate.clone());
        }
        let (from_client, to_client) = client.into_split();
        let (from_server, to_server) = server.into_split();
        let mut watched = fate.subscribe();
        let up = self.pipe(from_client, to_server, &fate, true);
        let down = self.pipe(from_server, to_client, &fate, false);
        tokio::select! {
            _ = async { tokio::join!(up, down) } => {}
            _ = watched.wait_for(|fate| *fate == Fate::Cut) => {}
        }
    }

    /// Copies one direction: reads, and writes when the time has come.
    async fn pipe(
        &self,
        mut from: OwnedReadHalf,
        to: OwnedWriteHalf,
        fate: &watch::Sender<Fate>,
        up: bool,
    ) {
        let (sender, receiver) = mpsc::channel(1024);
        let writing = self.write(to, receiver, fate, up);
        let reading = async move {
            let mut buffer = vec![0; 16 * 1024];
            while let Ok(read @ 1..) = from.read(&mut buffer).await {
                let delay = match *self.mode.borrow() {
                    Mode::Delay(delay) if !up => delay,
                    _ => Duration::ZERO,
                };
                if up && *self.mode.borrow() == Mode::Hold {
                    self.held.send_modify(|held| *held += read);
                }
                if sender.send((Instant::now() + delay, buffer[..read].to_vec())).await.is_err() {
                    break;
                }
            }
        };
        tokio::join!(writing, reading);
    }

    async fn write(
        &self,
        mut to: OwnedWriteHalf,
        mut chunks: mpsc::Receiver<(Instant, Vec<u8>)>,
        fate: &watch::Sender<Fate>,
        up: bool,
    ) {
        let (mut mode, mut watched) = (self.mode.subscribe(), fate.subscribe());
        let mut half_closed = fate.subscribe();
        let copying = async {
            while let Some((due, chunk)) = chunks.recv().await {
                sleep_until(due).await;
                // What was held back goes down with a connection that was cut before anything
                // passed again.
                if mode.wait_for(|mode| *mode != Mode::Hold).await.is_err()
                    || watched.wait_for(|fate| *fate != Fate::Forgotten).await.is_err()
                    || *watched.borrow() == Fate::Cut
                    || to.write_all(&chunk).await.is_err()
                {
                    break;
                }
            }
        };
        // Dropping the half closes it.
        if up {
            copying.await;
        } else {
            tokio::select! {
                () = copying => {}
                _ = half_closed.wait_for(|fate| *fate == Fate::HalfClosed) => {}
            }
        }
    }
}
