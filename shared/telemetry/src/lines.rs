//! Log lines of a server on their way to standard error: those of some milliseconds go together,
//! with one call of the system.
//!
//! Warnings and errors are written at once, with all lines before them, and so is everything before
//! a panic's message and at the end of the process. Only a process that is killed loses what it
//! logged in its last [`GATHERING`].

use std::io::{self, Write, stderr};
use std::mem::swap;
use std::sync::{Condvar, Mutex};
use std::time::Duration;
use std::{panic, thread};

use sms_domain::sync::lock;
use tracing::{Level, Metadata};
use tracing_subscriber::fmt::MakeWriter;

/// Longest time for which a line waits for others.
const GATHERING: Duration = Duration::from_millis(5);

/// Bytes of lines above which the next caller writes them itself, so that they do not pile up while
/// standard error is slow.
const FULL: usize = 64 * 1024;

/// Lines that are to be written.
static GATHERED: Mutex<Vec<u8>> = Mutex::new(Vec::new());

/// Notified when there is a first line.
static BEGUN: Condvar = Condvar::new();

/// Lines that are being written; held while they are, so that they stay in their order.
static WRITING: Mutex<Vec<u8>> = Mutex::new(Vec::new());

/// Writer of lines.
pub(super) struct Lines {
    gathers: bool,
}

impl Lines {
    /// Writes each line at once.
    pub(super) fn at_once() -> Self {
        Self { gathers: false }
    }

    /// Gathers lines, which a thread writes.
    pub(super) fn gathered() -> Self {
        let thread = thread::Builder::new().name("log".to_owned()).spawn(write_in_turn);
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |panic| {
            flush();
            before(panic);
        }));
        Self { gathers: thread.is_ok() }
    }
}

fn write_in_turn() {
    loop {
        let gathered = BEGUN.wait_while(lock(&GATHERED), |lines| lines.is_empty());
        drop(gathered);
        thread::sleep(GATHERING);
        flush();
    }
}

/// Writes all lines. To be called before the process ends.
pub fn flush() {
    let mut writing = lock(&WRITING);
    swap(&mut *writing, &mut *lock(&GATHERED));
    // Without a log there is no place to report an error.
    let _ = stderr().write_all(&writing);
    writing.clear();
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = LineWriter;

    fn make_writer(&'a self) -> LineWriter {
        LineWriter { at_once: true }
    }

    fn make_writer_for(&'a self, line: &Metadata<'_>) -> LineWriter {
        LineWriter { at_once: !self.gathers || *line.level() <= Level::WARN }
    }
}

/// Takes one line.
pub(super) struct LineWriter {
    at_once: bool,
}

impl Write for LineWriter {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let mut gathered = lock(&GATHERED);
        if gathered.is_empty() {
            BEGUN.notify_one();
        }
        gathered.extend_from_slice(line);
        let is_full = gathered.len() > FULL;
        drop(gathered);
        if self.at_once || is_full {
            flush();
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
